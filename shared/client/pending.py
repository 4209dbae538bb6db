"""The requests that wait for an answer, by correlation id.

In:    correlation ids, replies in any order, time-outs.
Out:   each future once, each part of an answer in order; counts of replies that nobody waits for.
Never: Kafka, Redis; a wait that ends early; a timer for each request; parts without bound that nobody reads.

One timer stands at the earliest end of all waits. Most waits end long before their time, so it is set once for very
many of them: when it fires it finds the earliest end of those that wait by then, and stands there.
"""

import asyncio
import math
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from shared.contracts.ids import CorrelationIds
from shared.contracts.reply import ReplyRecord
from shared.errors import Overloaded, StreamBroken, TimedOut, WeirError
from shared.names.metrics import IN_FLIGHT
from shared.telemetry.metrics import Metrics

_STOPPED = "this instance has stopped"
_OWN_LATE, _FOREIGN = "late", "foreign"
# of an answer that nobody has read yet: bytes, and those where all answers together have very many
_MAX_BYTES, _MAX_OF_MANY, _MANY_BYTES = 32_000_000, 1_000_000, 128_000_000
# answers in parts last for as long as they like: they leave one place in so many to all others
_OTHERS = 4
# what a part takes beside its body
_PART_BYTES = 1_000
# so long it rests when waits end one after another
_REST_S = 0.005
# of those that stopped waiting and would still like to know
_MAX_LATE = 2_000


class Stopped(TimedOut):
    """Whoever reads the answer has stopped before it came."""


class Backlog(Struct):
    """What waits to be read, of all answers in parts: bytes."""

    held: int = 0


class Parts:
    """An answer in parts, as they come; a whole one is its own only part. `ended` is done with the last."""

    def __init__(self, backlog: Backlog | None = None) -> None:
        """Nothing has come. `backlog`: shared with the others."""
        self._found: asyncio.Queue[ReplyRecord | WeirError] = asyncio.Queue()
        self._expected, self._held = 0, 0
        self._backlog = backlog or Backlog()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def next(self, within_s: float) -> ReplyRecord:
        """The next part. Raises TimeoutError, or the error that ends the answer."""
        if self._found.empty():
            found = await asyncio.wait_for(self._found.get(), within_s)
        else:
            # a wait with a time would take several turns of the event loop, and parts may come faster than that
            await asyncio.sleep(0)
            found = self._found.get_nowait()
        if isinstance(found, WeirError):
            raise found
        self._hold(-_size(found))
        return found

    def take(self, part: ReplyRecord) -> None:
        """A part has come."""
        if part.sequence not in (None, self._expected):
            self.fail(StreamBroken("the events do not follow each other: the work was begun again after a crash"))
        elif not self._has_room(_size(part)):
            self.fail(StreamBroken(f"{self._found.qsize()} events, which take {self._held} bytes, wait for a caller "
                                   "that reads too slowly"))
        else:
            self._expected += 1
            self._hold(_size(part))
            self._found.put_nowait(part)
            if part.sequence is None or part.last:
                self._end()

    def fail(self, error: WeirError) -> None:
        """No more parts."""
        self._found.put_nowait(error)
        self._end()

    def leave(self) -> None:
        """Nobody reads any more."""
        self._hold(-self._held)

    def _has_room(self, size: int) -> bool:
        most = _MAX_BYTES if self._backlog.held < _MANY_BYTES else _MAX_OF_MANY
        return not self._held or self._held + size <= most

    def _hold(self, more: int) -> None:
        self._held += more
        self._backlog.held += more

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def _size(part: ReplyRecord) -> int:
    return _PART_BYTES + len(part.body)


W = TypeVar("W", asyncio.Future[ReplyRecord], Parts)


class Pending:
    """Bounded: past `limit` open requests `add` refuses before anything is published."""

    def __init__(self, limit: int, metrics: Metrics, ids: CorrelationIds | None = None) -> None:
        """`ids` default to a new random nonce."""
        self._limit, self.metrics = limit, metrics
        self._ids, self._backlog = ids or CorrelationIds(), Backlog()
        self._waiting: dict[bytes, asyncio.Future[ReplyRecord] | Parts] = {}
        self._most_parts, self._in_parts = limit - limit // _OTHERS, 0
        # of those that wait for so many ms: when that is over, in the loop's seconds
        self._ends: dict[bytes, tuple[float, int]] = {}
        self._looks_s = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._late: dict[bytes, Callable[[ReplyRecord], None]] = {}
        metrics.read(IN_FLIGHT, lambda: len(self._waiting))
        metrics.bound("calls", lambda: len(self._waiting), limit)

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def add(self, timeout_ms: int | None = None) -> tuple[bytes, asyncio.Future[ReplyRecord]]:
        """A new correlation id and the future of its reply, which ends with TimedOut after so long. Raises
        Overloaded."""
        loop = asyncio.get_running_loop()
        correlation_id, answer = self._enter(loop.create_future())
        if timeout_ms is not None:
            end_s = loop.time() + timeout_ms / 1000
            self._ends[correlation_id] = end_s, timeout_ms
            if end_s < self._looks_s:
                self._look_at(end_s, loop)
        return correlation_id, answer

    def add_parts(self) -> tuple[bytes, Parts]:
        """A new correlation id and the parts of its answer. Raises Overloaded."""
        if self._in_parts >= self._most_parts:
            raise Overloaded(f"{self._most_parts} streams of events are open here already; try again shortly",
                             headers={"Retry-After": "1"})
        correlation_id, parts = self._enter(Parts(self._backlog))
        self._in_parts += 1
        parts.ended.add_done_callback(self._one_less)
        return correlation_id, parts

    def _one_less(self, _: object) -> None:
        self._in_parts -= 1

    def check(self) -> None:
        """Whether one more may wait: for whoever would do something for it before. Raises Overloaded."""
        if len(self._waiting) >= self._limit:
            raise Overloaded(f"{self._limit} requests are in flight already; try again shortly",
                             headers={"Retry-After": "1"})

    def _enter(self, waiting: W) -> tuple[bytes, W]:
        self.check()
        correlation_id = self._ids.new()
        self._waiting[correlation_id] = waiting
        return correlation_id, waiting

    def resolve(self, correlation_id: bytes, reply: ReplyRecord) -> bool:
        """Hand a reply to whoever waits; False when nobody does (foreign, late or a duplicate: counted)."""
        waiting = self._waiting.get(correlation_id)
        if isinstance(waiting, Parts):
            waiting.take(reply)
            if waiting.ended.done():
                del self._waiting[correlation_id]
            return True
        if waiting is not None:
            del self._waiting[correlation_id]
            self._ends.pop(correlation_id, None)
        if waiting is None or waiting.done():
            why = _OWN_LATE if self._ids.is_own(correlation_id) else _FOREIGN
            self.metrics.replies_dropped.inc(why)
            told = self._late.pop(correlation_id, None)
            if told is not None:
                told(reply)
            return False
        waiting.set_result(reply)
        return True

    def fail(self, correlation_id: bytes, error: WeirError) -> None:
        """End a wait with an error, if it still goes on."""
        future = self._waiting.pop(correlation_id, None)
        self._ends.pop(correlation_id, None)
        if isinstance(future, Parts):
            future.fail(error)
        elif future is not None and not future.done():
            future.set_exception(error)

    async def empty(self) -> None:
        """Return once nobody waits any more."""
        while self._waiting:
            await asyncio.wait([one.ended if isinstance(one, Parts) else one for one in self._waiting.values()])

    def give_up(self) -> None:
        """End all waits: nobody will read their answers here any more."""
        for correlation_id, waiting in list(self._waiting.items()):
            self.fail(correlation_id, StreamBroken(f"{_STOPPED} before the last event; call again")
                      if isinstance(waiting, Parts) else
                      Stopped(f"{_STOPPED} before the answer came; the work goes on"))

    def tell(self, correlation_id: bytes, late: Callable[[ReplyRecord], None]) -> None:
        """Call `late` if an answer comes after all."""
        while len(self._late) >= _MAX_LATE:
            del self._late[next(iter(self._late))]
        self._late[correlation_id] = late

    def drop(self, correlation_id: bytes) -> None:
        """Forget a request whose caller has stopped waiting."""
        waiting = self._waiting.pop(correlation_id, None)
        if waiting is None:
            return
        self._ends.pop(correlation_id, None)
        if isinstance(waiting, Parts) and not waiting.ended.done():
            waiting.ended.set_result(None)

    def _look_at(self, when_s: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_s, self._timer = when_s, loop.call_at(when_s, self._look)

    def _look(self) -> None:
        """End the waits whose time is over, and look again when that of the next one is."""
        loop, self._timer, self._looks_s = asyncio.get_running_loop(), None, math.inf
        now_s = loop.time()
        for correlation_id, (_, timeout_ms) in [one for one in self._ends.items() if one[1][0] <= now_s]:
            self.fail(correlation_id, TimedOut(f"no answer within {timeout_ms} ms"))
        if self._ends:
            self._look_at(max(now_s + _REST_S, min(end_s for end_s, _ in self._ends.values())), loop)
