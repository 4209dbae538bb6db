"""The requests that wait for an answer, by correlation id.

In:    correlation ids, replies in any order, time-outs.
Out:   each future once; counts of replies that nobody waits for.
Never: Kafka, Redis, a clock.
"""

import asyncio

from shared.contracts.ids import CorrelationIds
from shared.contracts.reply import ReplyRecord
from shared.errors import Overloaded, WeirError
from shared.telemetry.metrics import Metrics

_OWN_LATE, _FOREIGN = "late", "foreign"


class Pending:
    """Bounded: past `limit` open requests `add` refuses before anything is published."""

    def __init__(self, limit: int, metrics: Metrics, ids: CorrelationIds | None = None) -> None:
        """`ids` default to a new random nonce."""
        self._limit, self._metrics = limit, metrics
        self._ids = ids or CorrelationIds()
        self._waiting: dict[bytes, asyncio.Future[ReplyRecord]] = {}
        # read when somebody asks, not counted with every request
        metrics.in_flight.set_function(lambda: len(self._waiting))

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def add(self) -> tuple[bytes, asyncio.Future[ReplyRecord]]:
        """A new correlation id and the future of its reply. Raises Overloaded."""
        if len(self._waiting) >= self._limit:
            raise Overloaded(f"{self._limit} requests are in flight already; try again shortly",
                             headers={"Retry-After": "1"})
        correlation_id = self._ids.new()
        future: asyncio.Future[ReplyRecord] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = future
        return correlation_id, future

    def resolve(self, correlation_id: bytes, reply: ReplyRecord) -> bool:
        """Hand a reply to whoever waits; False when nobody does (foreign, late or a duplicate: counted)."""
        future = self._waiting.pop(correlation_id, None)
        if future is None or future.done():
            why = _OWN_LATE if self._ids.is_own(correlation_id) else _FOREIGN
            self._metrics.replies_dropped.labels(why).inc()
            return False
        future.set_result(reply)
        return True

    def fail(self, correlation_id: bytes, error: WeirError) -> None:
        """End a wait with an error, if it still goes on."""
        future = self._waiting.pop(correlation_id, None)
        if future is not None and not future.done():
            future.set_exception(error)

    async def empty(self) -> None:
        """Return once nobody waits any more."""
        while self._waiting:
            await asyncio.wait(self._waiting.values())

    def drop(self, correlation_id: bytes) -> None:
        """Forget a request whose caller has stopped waiting."""
        self._waiting.pop(correlation_id, None)
