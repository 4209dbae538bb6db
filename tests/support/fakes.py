"""Doubles of what has to do with Kafka, for tests of one part alone."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from shared.kafka.faults import RecordTooLarge

Headers = list[tuple[str, bytes]]


@dataclass(slots=True)
class FakeRecord:
    """A consumed record."""

    topic: str = "t"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = b""
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


@dataclass(slots=True)
class Sent:
    """What an outbox was given."""

    topic: str
    value: bytes | None
    headers: Headers
    key: bytes | None
    partition: int | None
    done: asyncio.Future[None]
    instead: Callable[[], Iterable[asyncio.Future[None]]] | None = None


class FakeOutbox:
    """Keeps what it is given; acknowledges when told; refuses records above `largest` bytes."""

    def __init__(self, largest: int = 1_000_000) -> None:
        """Nothing sent."""
        self.sent: list[Sent] = []
        self._largest = largest

    def send(self, topic: str, value: bytes | None, headers: Headers, *, key: bytes | None = None,
             partition: int | None = None, instead: Callable[[], Iterable[asyncio.Future[None]]] | None = None
             ) -> asyncio.Future[None]:
        """As the outbox."""
        self.check(value, headers, key=key)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append(Sent(topic, value, headers, key, partition, done, instead))
        return done

    def check(self, value: bytes | None, headers: Headers, *, key: bytes | None = None) -> None:
        """As the outbox."""
        size = len(value or b"") + len(key or b"") + sum(len(name) + len(data) for name, data in headers)
        if size > self._largest:
            raise RecordTooLarge(f"{size} bytes are too many")


class StoppedClock:
    """A time of the test's choice."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        """Unix ms. `set_ms`: how far somebody has set the clock; what has elapsed knows nothing of it."""
        self.now, self.set_ms = now_ms, 0

    def now_ms(self) -> int:
        """The time."""
        return self.now + self.set_ms

    def elapsed_us(self) -> int:
        """What has elapsed, in microseconds."""
        return self.now * 1000
