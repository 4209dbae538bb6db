"""Publish records in batches: one batch in flight per lane while the next one fills.

In:    records, one at a time, from anywhere in the event loop.
Out:   batches on topics; one future per batch, shared by its records, done when the broker has acknowledged.
Never: a task per record; a wait that outlives `send_timeout_ms`.

A lane is a topic, or one partition of it where the record names one. Without a named partition a whole batch goes to
one partition, another one each time: spreading a small batch costs the broker more than it gains.

A batch that was refused for its size goes in smaller ones, and those of its topic are no larger from then on. For a
record that is refused alone its sender may have said what is to be done instead: it would be refused each time.
"""

import asyncio
import logging
import math
import time
from collections import deque
from contextvars import Context
from dataclasses import dataclass, field
from random import getrandbits

from shared.errors import WeirError
from shared.kafka.batches import LARGEST_RECORD, Batch, Headers, Instead, end, fill, records_of, size_of
from shared.kafka.faults import (
    CLIENT_ERRORS,
    MessageSizeTooLarge,
    NoSuchPartition,
    OutboxFull,
    RecordTooLarge,
    SendFailed,
    translate,
)
from shared.kafka.writer import Writer
from shared.names import actions
from shared.names.topics import NAMES
from shared.runtime.tasks import heard
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from shared.telemetry.series import OTHER

log = logging.getLogger(__name__)
# what has failed, as metrics name it
_SEND, _ELSEWHERE = "send", "elsewhere"


@dataclass(slots=True)
class _Lane:
    topic: str
    partition: int | None
    waiting: deque[Batch] = field(default_factory=deque)
    busy: bool = False
    since: float = 0.0
    # lanes come and go: one that began anew with the first partition each time would fill that one alone
    turn: int = field(default_factory=lambda: getrandbits(16))


class Outbox:
    """A batching producer. `send` never waits; who needs certainty awaits the future it returns, shielded where the
    wait may be cancelled: all of a batch share it.
    """

    def __init__(self, settings: KafkaSettings, metrics: Metrics | None = None, name: str = "outbox") -> None:
        """Not connected yet. `name`: of its bound in the metrics."""
        self._settings = settings
        self._metrics = metrics or Metrics(muted=True)
        for what in (_SEND, _ELSEWHERE):
            self._metrics.kafka_errors.inc(what, by=0)
        self._metrics.bound(name, lambda: self._records, settings.outbox_max_records)
        self._writer = Writer(settings)
        self._lanes: dict[tuple[str, int | None], _Lane] = {}
        self._records = 0
        self._deliveries: set[asyncio.Task[None]] = set()
        # bytes of a batch, of topics whose broker has refused a larger one
        self._most: dict[str, int] = {}

    async def start(self) -> None:
        """Connect. Raises KafkaUnavailable."""
        await self._writer.start()

    async def stop(self) -> None:
        """Deliver what is waiting, as far as the broker lets us, then disconnect."""
        for lane in list(self._lanes.values()):
            self._flush(lane)
        while self._deliveries:
            await asyncio.wait(self._deliveries)
        await self._writer.stop()

    def send(self, topic: str, value: bytes | None, headers: Headers, *, key: bytes | None = None,
             partition: int | None = None, instead: Instead | None = None) -> asyncio.Future[None]:
        """Take a record; the future is done when its batch is acknowledged, or fails with SendFailed.

        `instead` is called where the broker does not take the record for its size; without it that fails the batch.
        Raises OutboxFull when too many records wait, RecordTooLarge for a record that no batch can hold.
        """
        if self._records >= self._settings.outbox_max_records:
            raise OutboxFull(f"{self._records} records wait for the broker (WEIR_KAFKA_OUTBOX_MAX_RECORDS)")
        self.check(value, headers, key=key)
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic, partition)
        if not lane.waiting:
            self._open(lane)
            if not lane.busy:
                asyncio.get_running_loop().call_soon(self._flush, lane)
        batch, most = lane.waiting[-1], self._most.get(topic)
        if most is not None and batch.records and batch.builder.size() + size_of(key, value, headers) > most:
            batch = self._open(lane)
        if batch.builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            # an empty batch takes any record, whatever its size; that is why sizes are looked at before
            batch = self._open(lane)
            batch.builder.append(timestamp=None, key=key, value=value, headers=headers)
        batch.records += 1
        batch.instead.append(instead)
        self._records += 1
        return batch.acknowledged

    def check(self, value: bytes | None, headers: Headers, *, key: bytes | None = None) -> None:
        """Raises RecordTooLarge for a record that no batch can hold."""
        size = size_of(key, value, headers)
        if size > LARGEST_RECORD:
            raise RecordTooLarge(f"{size} bytes are more than the {LARGEST_RECORD} that a record can have")

    async def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic. Raises SendFailed where the broker knows none, KafkaUnavailable where it does not
        say."""
        return await self._writer.partitions(topic)

    def stalled_ms(self) -> int:
        """For how long the slowest batch in flight has been waiting; 0 when none is."""
        # asked before every request is published
        since = math.inf
        for lane in self._lanes.values():
            if lane.busy and lane.since < since:
                since = lane.since
        return 0 if since is math.inf else int((time.monotonic() - since) * 1000)

    @property
    def stalled(self) -> bool:
        """Whether the broker has not acknowledged for so long that callers should be told."""
        return self.stalled_ms() > self._settings.stalled_after_ms

    async def probe(self) -> str | None:
        """Why a service with this outbox cannot do its work; None when it can."""
        return f"the broker has not acknowledged for {self.stalled_ms()} ms" if self.stalled else None

    def _label(self, topic: str) -> str:
        # callers name reply topics of their own, as many as they like
        return topic if topic in NAMES else OTHER

    def _open(self, lane: _Lane) -> Batch:
        builder = self._writer.batch()
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # who does not wait for the acknowledgement must not cause 'exception was never retrieved'
        acknowledged.add_done_callback(heard)
        batch = Batch(builder, acknowledged)
        lane.waiting.append(batch)
        return batch

    def _flush(self, lane: _Lane) -> None:
        if lane.busy or not lane.waiting:
            return
        lane.busy, lane.since = True, time.monotonic()
        # a batch is about no request, whosever record was the first in it
        batch, about = lane.waiting.popleft(), Context()
        task = asyncio.get_running_loop().create_task(self._deliver(lane, batch), context=about)
        self._deliveries.add(task)
        task.add_done_callback(lambda done: self._delivered(done, lane, batch), context=about)

    def _delivered(self, task: asyncio.Task[None], lane: _Lane, batch: Batch) -> None:
        """Whoever needs a batch does not wait for ever for one whose delivery ended in a way that nobody foresaw."""
        self._deliveries.discard(task)
        cause = asyncio.CancelledError() if task.cancelled() else task.exception()
        if cause is None or batch.acknowledged.done():
            return
        error = SendFailed(f"publishing {batch.records} records to {lane.topic}: {cause!r}")
        log.error("%s", error, exc_info=cause, extra={"action": actions.TASK_FAILED, "topic": lane.topic})
        batch.acknowledged.set_exception(error)

    async def _deliver(self, lane: _Lane, batch: Batch) -> None:
        try:
            async with asyncio.timeout(self._settings.send_timeout_ms / 1000):
                await self._publish(lane, batch)
        except (*CLIENT_ERRORS, WeirError) as exc:
            error = exc if isinstance(exc, WeirError) else translate(
                exc, f"publishing {batch.records} records to {lane.topic}")
            if isinstance(exc, MessageSizeTooLarge):
                error = RecordTooLarge(str(error))
            log.warning("%s", error, extra={"action": actions.SEND_STALLED, "topic": lane.topic})
            # one that a caller or a workflow has named may not be there, or not for us: no failure of the broker
            self._metrics.kafka_errors.inc(_SEND if lane.topic in NAMES else _ELSEWHERE)
            end(batch, error)
        else:
            self._metrics.send_us.add(int((time.monotonic() - lane.since) * 1e6), self._label(lane.topic))
            batch.acknowledged.set_result(None)
        finally:
            self._records -= batch.records
            lane.busy = False
            if lane.waiting:
                self._flush(lane)
            elif lane.partition is not None or lane.topic not in NAMES:
                self._lanes.pop((lane.topic, lane.partition), None)

    async def _publish(self, lane: _Lane, batch: Batch) -> None:
        known, partition = await self._writer.known(lane.topic), lane.partition
        if partition is None:
            partition = self._next(lane, known)
        elif partition not in known and not await self._writer.is_new(lane.topic, partition):
            raise NoSuchPartition(f"publishing to {lane.topic}: it has no partition {partition}")
        try:
            await self._writer.submit(batch.builder, lane.topic, partition)
        except MessageSizeTooLarge as exc:
            if batch.records == 1:
                batch.refused.append(0)
                raise
            log.warning("%s", translate(exc, f"publishing {batch.records} records to {lane.topic} at once; they go in "
                                             "smaller batches"),
                        extra={"action": actions.SEND_STALLED, "topic": lane.topic})
            await self._publish_in_parts(batch, lane.topic, partition)

    async def _publish_in_parts(self, batch: Batch, topic: str, partition: int) -> None:
        """In their order, what was refused together; what is refused alone, too, does not keep back the others."""
        records, most = records_of(batch.builder), batch.builder.size() // 2
        # of those that are refused alone, the smallest so far: larger ones need not be tried
        too_large, why = math.inf, MessageSizeTooLarge()
        while records:
            builder = self._writer.batch()
            part = fill(builder, records, most)
            if len(part) == 1 and builder.size() >= too_large:
                batch.refused.append(batch.records - len(records) - 1)
                continue
            try:
                await self._writer.submit(builder, topic, partition)
            except MessageSizeTooLarge as exc:
                why = exc
                if len(part) > 1:
                    most = builder.size() // 2
                    records.extendleft(reversed(part))
                else:
                    too_large = builder.size()
                    batch.refused.append(batch.records - len(records) - 1)
        if topic in NAMES:
            self._most[topic] = min(most, self._most.get(topic, most))
        if batch.refused:
            raise RecordTooLarge(str(translate(why, f"publishing {len(batch.refused)} of {batch.records} records to "
                                                    f"{topic}; the others are published")))

    def _next(self, lane: _Lane, partitions: list[int]) -> int:
        """Another partition each time; one that has no leader waits for one, and others do not wait for it."""
        open_ = self._writer.led(lane.topic) or partitions
        lane.turn += 1
        return open_[lane.turn % len(open_)]
