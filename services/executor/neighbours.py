"""Operations of other projects, called as internal services call them.

In:    a request record.
Out:   its answer.
Never: a reply partition taken before one is needed: most executors never call another project.
"""

import asyncio
from dataclasses import dataclass

from shared.client.caller import Caller, Watch
from shared.client.pending import Pending
from shared.client.replies import ReplyReader
from shared.client.slot import Slot
from shared.contracts.reply import ReplyRecord
from shared.contracts.request import RequestRecord
from shared.errors import Unavailable
from shared.kafka.faults import KafkaUnavailable, SendFailed
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.runtime.tasks import Tasks, heard
from shared.settings.kafka import KafkaSettings
from shared.store.redis import Store
from shared.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a call needs; built in `wire.py`."""

    kafka: KafkaSettings
    tasks: Tasks
    metrics: Metrics
    store: Store
    outbox: Outbox
    owner: str
    max_in_flight: int


class Neighbours:
    """Begins to listen with the first call."""

    def __init__(self, line: Line) -> None:
        """Not listening."""
        self._line = line
        self._opening: asyncio.Future[Caller] | None = None
        self._caller: Caller | None = None
        self._replies: ReplyReader | None = None

    async def start(self) -> None:
        """Nothing: the first call begins."""

    async def stop(self) -> None:
        """Listen no more."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._replies is not None:
            await self._replies.stop()

    async def ask(self, request: RequestRecord, timeout_ms: int, watch: Watch | None = None) -> ReplyRecord:
        """Raises Overloaded, Unavailable, BodyTooLarge, TimedOut."""
        caller = self._caller or await self._open()
        return await caller.ask(topics.REQUESTS_INTERNAL, request.body, request.addressed, timeout_ms, watch)

    async def _open(self) -> Caller:
        """The same for all who wait for it: whoever has no more time for that ends alone."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(self._listen())
            self._opening.add_done_callback(heard)
        return await asyncio.shield(self._opening)

    async def _listen(self) -> Caller:
        line = self._line
        pending = Pending(line.max_in_flight, line.metrics)
        slot = Slot(line.store, line.tasks, topic=topics.REPLIES, owner=line.owner)
        replies = ReplyReader(line.kafka, line.tasks, pending, topic=topics.REPLIES, outbox=line.outbox,
                              choose=slot.take)
        try:
            await replies.start()
        except (KafkaUnavailable, SendFailed) as exc:
            raise Unavailable(f"nothing was published, for there is no place to hear the answer at: {exc}",
                              headers={"Retry-After": "2"}) from exc
        self._replies, self._caller = replies, Caller(line.outbox, pending, replies)
        return self._caller
