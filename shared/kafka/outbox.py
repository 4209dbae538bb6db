"""Publish records in batches: one batch in flight per lane while the next one fills.

In:    records, one at a time, from anywhere in the event loop.
Out:   batches on topics; one future per batch, shared by its records, done when the broker has acknowledged.
Never: a task per record; a wait that outlives `send_timeout_ms`.

A lane is a topic, or one partition of it where the record names one. Without a named partition a whole batch goes to
one partition, another one each time: spreading a small batch costs the broker more than it gains.

The client numbers the batches of a partition, those too that the broker refuses, and after one of these the broker
takes nothing more from it there: out of order. So who has been refused a batch goes on with a client that begins anew.
A batch that was refused for its size goes in smaller ones, and those of its topic are no larger from then on. For a
record that is refused alone its sender may have said what is to be done instead: it would be refused each time.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import getrandbits
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBatch

from shared.errors import WeirError
from shared.kafka import connect
from shared.kafka.faults import (
    CLIENT_ERRORS,
    KafkaUnavailable,
    MessageSizeTooLarge,
    NoSuchPartition,
    OutboxFull,
    RecordTooLarge,
    SendFailed,
    UnknownTopic,
    translate,
    was_refused,
)
from shared.kafka.strangers import Strangers
from shared.names import actions
from shared.names.topics import NAMES
from shared.runtime.tasks import heard, pass_on
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from shared.telemetry.series import OTHER

log = logging.getLogger(__name__)
Headers = list[tuple[str, bytes]]
# what is published in the place of a record
Instead = Callable[[], Iterable[asyncio.Future[None]]]
# a broker takes batches of 1 048 588 bytes unless told otherwise; a batch has 61 bytes beside its records
_LARGEST_RECORD = 1_048_500
# at most so many bytes are lengths, deltas and attributes of a record, and lengths of one header
_RECORD_BYTES, _HEADER_BYTES = 40, 10
# a character of a header's name takes up to four bytes
_NAME_BYTES = 4
# the least time between two clients, and between two questions which partitions there are
_REST_S = 1.0
_PAUSE_S = 0.05


@dataclass(slots=True)
class _Batch:
    builder: Any
    acknowledged: asyncio.Future[None]
    records: int = 0
    # of each record; which of them the broker has refused alone
    instead: list[Instead | None] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Lane:
    topic: str
    partition: int | None
    waiting: deque[_Batch] = field(default_factory=deque)
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
        self._metrics.kafka_errors.inc("send", by=0)
        self._metrics.bound(name, lambda: self._records, settings.outbox_max_records)
        self._producer: AIOKafkaProducer | None = None
        self._lanes: dict[tuple[str, int | None], _Lane] = {}
        self._records = 0
        self._deliveries: set[asyncio.Task[None]] = set()
        # one client takes the other's place
        self._changes: set[asyncio.Task[None]] = set()
        self._changed_s = self._asked_s = -math.inf
        # of which the broker takes nothing more from the present client
        self._spoiled: set[tuple[str, int]] = set()
        self._strangers = Strangers()
        # bytes of a batch, of topics whose broker has refused a larger one
        self._most: dict[str, int] = {}

    async def start(self) -> None:
        """Connect. Raises KafkaUnavailable."""
        self._producer = await connect.producer(self._settings)

    async def stop(self) -> None:
        """Deliver what is waiting, as far as the broker lets us, then disconnect."""
        if self._producer is None:
            return
        for lane in list(self._lanes.values()):
            self._flush(lane)
        while self._deliveries:
            await asyncio.wait(self._deliveries)
        changes = tuple(self._changes)
        for change in changes:
            change.cancel()
        await asyncio.gather(*changes, return_exceptions=True)
        await self._producer.stop()

    def send(self, topic: str, value: bytes | None, headers: Headers, *, key: bytes | None = None,
             partition: int | None = None, instead: Instead | None = None) -> asyncio.Future[None]:
        """Take a record; the future is done when its batch is acknowledged, or fails with SendFailed.

        `instead` is called where the broker does not take the record for its size; without it that fails the batch.
        Raises OutboxFull when too many records wait, RecordTooLarge for a record that no batch can hold.
        """
        if self._records >= self._settings.outbox_max_records:
            raise OutboxFull(f"{self._records} records wait for the broker (WEIR_KAFKA_OUTBOX_MAX_RECORDS)")
        self.check(topic, value, headers, key=key)
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic, partition)
        if not lane.waiting:
            self._open(lane)
            if not lane.busy:
                asyncio.get_running_loop().call_soon(self._flush, lane)
        batch, most = lane.waiting[-1], self._most.get(topic)
        if most is not None and batch.records and batch.builder.size() + _size(key, value, headers) > most:
            batch = self._open(lane)
        if batch.builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            # an empty batch takes any record, whatever its size; that is why sizes are looked at before
            batch = self._open(lane)
            batch.builder.append(timestamp=None, key=key, value=value, headers=headers)
        batch.records += 1
        batch.instead.append(instead)
        self._records += 1
        return batch.acknowledged

    def check(self, topic: str, value: bytes | None, headers: Headers, *, key: bytes | None = None) -> None:
        """Raises RecordTooLarge for a record that no batch can hold."""
        size = _size(key, value, headers)
        if size > _LARGEST_RECORD:
            raise RecordTooLarge(f"a record of {size} bytes for {topic[:200]} is larger than {_LARGEST_RECORD}")

    async def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic. Raises SendFailed where the broker knows none, KafkaUnavailable where it does not
        say."""
        producer = self._producer
        if producer is None:
            raise SendFailed("the outbox is not started")
        client = producer.client
        try:
            if topic not in NAMES:
                async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                    return await self._strangers.partitions(client, topic)
            found = await producer.partitions_for(topic)
        except UnknownTopic as exc:
            if topic not in NAMES:
                raise translate(exc, f"looking for the topic {topic}; whoever reads it has to make it") from exc
            # of a topic that was not written to yet the client says the same while no broker answers
            if not await client.force_metadata_update():
                raise KafkaUnavailable(f"looking for the topic {topic}: the broker does not answer") from exc
            found = client.cluster.partitions_for_topic(topic)
            if not found:
                raise translate(exc, f"looking for the topic {topic}; `weir up` and `python -m shared.kafka.topics` "
                                "make it") from exc
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"looking for the topic {topic}") from exc
        # known by chance, where the client has asked for all there are, it would be lost with the next look
        client._topics.add(topic)
        return sorted(found)

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

    def _builder(self) -> Any:
        if self._producer is None:
            raise SendFailed("the outbox is not started")
        return self._producer.create_batch()

    def _open(self, lane: _Lane) -> _Batch:
        builder = self._builder()
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # who does not wait for the acknowledgement must not cause 'exception was never retrieved'
        acknowledged.add_done_callback(heard)
        batch = _Batch(builder, acknowledged)
        lane.waiting.append(batch)
        return batch

    def _flush(self, lane: _Lane) -> None:
        if lane.busy or not lane.waiting:
            return
        lane.busy, lane.since = True, time.monotonic()
        task = asyncio.get_running_loop().create_task(self._deliver(lane, lane.waiting.popleft()))
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, lane: _Lane, batch: _Batch) -> None:
        try:
            async with asyncio.timeout(self._settings.send_timeout_ms / 1000):
                await self._publish(lane, batch)
        except (*CLIENT_ERRORS, WeirError) as exc:
            error = exc if isinstance(exc, WeirError) else translate(
                exc, f"publishing {batch.records} records to {lane.topic}")
            if isinstance(exc, MessageSizeTooLarge):
                error = RecordTooLarge(str(error))
            log.warning("%s", error, extra={"action": actions.SEND_STALLED, "topic": lane.topic})
            self._metrics.kafka_errors.inc("send")
            _end(batch, error)
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

    async def _publish(self, lane: _Lane, batch: _Batch) -> None:
        producer = self._producer
        if producer is None:
            raise SendFailed("the outbox is not started")
        partition = lane.partition
        if partition is None:
            partition = self._next(lane, producer, await self._known(lane.topic))
        elif partition not in await self._known(lane.topic) and not await self._is_new(producer, lane):
            raise NoSuchPartition(f"publishing to {lane.topic}: it has no partition {partition}")
        try:
            await self._submit(batch.builder, lane.topic, partition)
        except MessageSizeTooLarge as exc:
            if batch.records == 1:
                batch.refused.append(0)
                raise
            log.warning("%s", translate(exc, f"publishing {batch.records} records to {lane.topic} at once; they go in "
                                             "smaller batches"),
                        extra={"action": actions.SEND_STALLED, "topic": lane.topic})
            await self._publish_in_parts(batch, lane.topic, partition)

    async def _submit(self, builder: Any, topic: str, partition: int) -> None:
        builder.close()
        while (producer := self._producer) is None or (topic, partition) in self._spoiled:
            self._begin_anew(producer)
            await asyncio.sleep(_PAUSE_S)
        try:
            await (await producer.send_batch(builder, topic, partition=partition))
        except CLIENT_ERRORS as exc:
            if was_refused(exc):
                if producer is self._producer:
                    self._spoiled.add((topic, partition))
                self._begin_anew(producer)
            raise

    async def _publish_in_parts(self, batch: _Batch, topic: str, partition: int) -> None:
        """In their order, what was refused together; what is refused alone, too, does not keep back the others."""
        records, most = _records_of(batch.builder), batch.builder.size() // 2
        # of those that are refused alone, the smallest so far: larger ones need not be tried
        too_large, why = math.inf, MessageSizeTooLarge()
        while records:
            builder = self._builder()
            part = _fill(builder, records, most)
            if len(part) == 1 and builder.size() >= too_large:
                batch.refused.append(batch.records - len(records) - 1)
                continue
            try:
                await self._submit(builder, topic, partition)
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

    async def _known(self, topic: str) -> list[int]:
        """The partitions, once a broker tells them: whoever sends says how long that may take."""
        while True:
            try:
                return await self.partitions(topic)
            except KafkaUnavailable:
                await asyncio.sleep(_REST_S)

    def _next(self, lane: _Lane, producer: AIOKafkaProducer, partitions: list[int]) -> int:
        """Another partition each time; one that has no leader waits for one, and others do not wait for it."""
        led = producer.client.cluster.available_partitions_for_topic(lane.topic)
        open_ = sorted(led) if led else partitions
        lane.turn += 1
        return open_[lane.turn % len(open_)]

    async def _is_new(self, producer: AIOKafkaProducer, lane: _Lane) -> bool:
        """Whether a topic has a partition that it did not have when the client asked last, minutes ago maybe."""
        now_s = time.monotonic()
        if now_s - self._asked_s > _REST_S:
            self._asked_s = now_s
            await producer.client.force_metadata_update()
        return lane.partition in await self.partitions(lane.topic)

    def _begin_anew(self, refused: AIOKafkaProducer | None) -> None:
        """Go on with another client, once somebody was refused."""
        now_s = time.monotonic()
        if refused is not None and refused is self._producer and now_s - self._changed_s > _REST_S:
            # one at a time
            self._changed_s = math.inf
            change = asyncio.get_running_loop().create_task(self._change(refused))
            self._changes.add(change)
            change.add_done_callback(self._changes.discard)

    async def _change(self, refused: AIOKafkaProducer) -> None:
        try:
            self._producer = await connect.producer(self._settings)
        except WeirError as exc:
            # the next one that is refused tries again
            log.warning("%s", exc, extra={"action": actions.KAFKA_RETRY})
            return
        finally:
            self._changed_s = time.monotonic()
        self._spoiled.clear()
        # what it was given by now it delivers first
        under_way = set(self._deliveries)
        if under_way:
            await asyncio.wait(under_way)
        await connect.quietly(refused.stop)


def _end(batch: _Batch, error: WeirError) -> None:
    """As failed, unless all that was refused has something in its place: then with that."""
    instead = [one for number in batch.refused if (one := batch.instead[number]) is not None]
    if not instead or len(instead) < len(batch.refused):
        batch.acknowledged.set_exception(error)
        return
    try:
        published = asyncio.gather(*(effect for one in instead for effect in one()))
    except WeirError as exc:
        batch.acknowledged.set_exception(exc)
        return
    published.add_done_callback(lambda done: pass_on(done, batch.acknowledged))


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """What a record takes at the most."""
    size = _RECORD_BYTES + len(key or b"") + len(value or b"") + _HEADER_BYTES * len(headers)
    for name, content in headers:
        size += _NAME_BYTES * len(name) + len(content)
    return size


def _records_of(builder: Any) -> deque[Any]:
    """What stands in a batch that was closed."""
    return deque(DefaultRecordBatch(bytes(builder._build())))


def _fill(builder: Any, records: deque[Any], most: int) -> list[Any]:
    """Move records into a batch of so many bytes, or a single one; which."""
    part: list[Any] = []
    while records:
        one = records[0]
        if part and builder.size() + _size(one.key, one.value, one.headers) > most:
            break
        if builder.append(timestamp=one.timestamp, key=one.key, value=one.value, headers=one.headers) is None:
            break
        part.append(records.popleft())
    return part
