"""The door: envelopes in, counts out.

In:    messages of the stream processor.
Out:   the ledger's entries, dead letters.
Never: an envelope given up because the store is away: it waits.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from services.analytics.fold import Folded, Placed
from services.analytics.follow import Places
from services.analytics.ledger import Ledger
from services.analytics.screen import Screen, UnknownProject
from services.analytics.settings import AnalyticsSettings
from shared.contracts.usage import Envelope
from shared.errors import BadRecord
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.record import Record
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store.redis import StoreUnavailable
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
Done = Callable[[], object]
Listen = Callable[[Folded], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticsParts:
    """What the door works with; built in `wire.py`. `catch_up` returns when all configuration there is has been read;
    `listeners` hear of events once they are counted."""

    settings: AnalyticsSettings
    screen: Screen
    catch_up: Callable[[], Awaitable[None]]
    ledger: Ledger
    dead_letters: DeadLetters
    metrics: Metrics
    tasks: Tasks
    listeners: Sequence[Listen] = ()


class Counter:
    """Counts envelopes: while the store takes one batch the next one fills."""

    def __init__(self, parts: AnalyticsParts) -> None:
        """Nothing counted yet."""
        self._parts = parts
        self._last: dict[int, int] = {}
        self.places = Places()
        self._waiting: deque[tuple[Placed, Done]] = deque()
        self._events = 0
        self._room, self._writing = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None
        # why the store takes nothing, and whether it has not even said where to go on
        self._refusal: StoreUnavailable | None = None
        self._lost = False

    async def start(self) -> None:
        """Write what comes, as long as the service runs."""
        self._task = self._parts.tasks.spawn(self._write(), "ledger")

    async def stop(self) -> None:
        """What waits has not been acknowledged; it comes again."""
        await self._parts.tasks.end(self._task)

    @property
    def full(self) -> bool:
        """Whether envelopes wait until the store has taken others, or has said which the next ones are."""
        return self._lost or not self._room.is_set()

    async def probe(self) -> str | None:
        """Why nothing is counted, though the store may answer; None when it is."""
        return None if self._refusal is None else f"the store takes no counts: {self._refusal}"

    async def begin(self, first: Mapping[int, int], ends: Mapping[int, int]) -> Mapping[int, int] | None:
        """After a rebalance the store's offsets are the truth again, as long as the topic has them: where each
        partition goes on. None after a moment in which the store did not say."""
        try:
            found = await self._begin(first, ends)
        except StoreUnavailable as exc:
            self._lost = True
            await self._wait(exc)
            return None
        self._lost, self._refusal = False, None
        return found

    async def _begin(self, first: Mapping[int, int], ends: Mapping[int, int]) -> Mapping[int, int]:
        counted = await self._parts.ledger.offsets()
        replaced = [partition for partition, end in ends.items() if counted.get(partition, -1) >= end]
        if replaced:
            log.error("partitions %s of the usage topic end before what was counted of them: the topic is another one, "
                      "and is counted from its beginning", replaced, extra={"action": actions.STREAM_LOST})
            await self._parts.ledger.begin_anew(replaced)
            counted = {partition: offset for partition, offset in counted.items() if partition not in replaced}
        self._last = {partition: counted[partition] for partition in first if partition in counted}
        for partition, gone in self.places.begin(counted, first).items():
            log.error("partition %d of the usage topic: %d envelopes were gone before they were counted", partition,
                      gone, extra={"action": actions.STREAM_LOST})
        return self.places.next

    async def count(self, record: Record, done: Done) -> None:
        """Take an envelope; `done` is called when it is counted. Waits while too many events wait."""
        if not self.places.is_next(record.partition, record.offset):
            # taken before, or behind some that are read again first
            return
        self._parts.metrics.consumed.inc(record.topic)
        envelope = await self._read(record)
        self._waiting.append((Placed(record.partition, record.offset, envelope), done))
        self._events += len(envelope.events) if envelope is not None else 1
        self._writing.set()
        if self._events > self._parts.settings.max_waiting_events:
            self._room.clear()
            await self._room.wait()

    async def _read(self, record: Record) -> Envelope | None:
        try:
            try:
                return self._parts.screen.read(record)
            except UnknownProject:
                # its configuration was there before the event was; ours may be a moment behind
                await self._parts.catch_up()
                return self._parts.screen.read(record)
        except BadRecord as exc:
            await self._parts.dead_letters.bury(record, str(exc))
            return None

    async def _write(self) -> None:
        while True:
            await self._writing.wait()
            self._writing.clear()
            while self._waiting:
                batch, events = [], 0
                while self._waiting and events < self._parts.settings.batch_events:
                    batch.append(self._waiting.popleft())
                    envelope = batch[-1][0].envelope
                    events += len(envelope.events) if envelope is not None else 1
                left = [placed for placed, _ in batch]
                while left:
                    left = left[await self._enter(left):]
                for _, done in batch:
                    done()
                self._events -= events
                self._room.set()

    async def _enter(self, batch: Sequence[Placed]) -> int:
        """How many of the batch are counted now. Raises LedgerWentBack."""
        while True:
            try:
                entry = await self._parts.ledger.enter(batch, self._last)
                self._refusal = None
                break
            except StoreUnavailable as exc:
                await self._wait(exc)
        for partition, (_, last) in entry.folded.places.items():
            self._last[partition] = max(last, self._last.get(partition, -1))
        self._report(entry.folded)
        for listen in self._parts.listeners:
            listen(entry.folded)
        return entry.folded.records

    async def _wait(self, why: StoreUnavailable) -> None:
        self._refusal = why
        log.warning("the ledger waits: %s", why, extra={"action": actions.STORE_AWAY})
        await asyncio.sleep(self._parts.settings.store_retry_s)

    def _report(self, folded: Folded) -> None:
        metrics = self._parts.metrics
        metrics.usage_counted.inc("counted", by=len(folded.requests))
        metrics.usage_counted.inc("repeated", by=folded.repeated_events)
        metrics.usage_counted.inc("delivery", by=len(folded.deliveries))
        if folded.repeated_envelopes:
            metrics.envelopes_repeated.inc(by=folded.repeated_envelopes)
            log.warning("%d envelopes came again and were not counted", folded.repeated_envelopes,
                        extra={"action": actions.ENVELOPE_REPEATED})
