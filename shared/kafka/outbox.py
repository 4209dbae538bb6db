"""Publish records in batches: one batch in flight per lane while the next one fills.

In:    records, one at a time, from anywhere in the event loop.
Out:   batches on topics; one future per batch, shared by its records, done when the broker has acknowledged.
Never: a task per record; a wait that outlives `send_timeout_ms`.

A lane is a topic, or one partition of it where the record names one. Without a named partition a whole batch goes to
one partition, another one each time: spreading a small batch costs the broker more than it gains.

The client numbers the batches of a partition, those too that the broker refuses, and after one of these the broker
takes nothing more from it there: out of order. So who has been refused a batch goes on with a client that begins anew.
"""

import asyncio
import logging
import math
import time
from collections import deque
from dataclasses import dataclass, field
from random import getrandbits
from typing import Any

from aiokafka import AIOKafkaProducer

from shared.errors import WeirError
from shared.kafka import connect
from shared.kafka.faults import (
    CLIENT_ERRORS,
    KafkaUnavailable,
    NoSuchPartition,
    OutboxFull,
    RecordTooLarge,
    SendFailed,
    UnknownTopic,
    is_too_large,
    translate,
    was_refused,
)
from shared.kafka.strangers import Strangers
from shared.names import actions
from shared.names.topics import NAMES
from shared.runtime.tasks import heard
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from shared.telemetry.series import OTHER

log = logging.getLogger(__name__)
Headers = list[tuple[str, bytes]]
# a broker takes batches of 1 048 588 bytes unless told otherwise; a batch has 61 bytes beside its records
_LARGEST_RECORD = 1_048_500
# at most so many bytes are lengths, deltas and attributes of a record, and lengths of one header
_RECORD_BYTES, _HEADER_BYTES = 40, 10
# a character of a header's name takes up to four bytes
_NAME_BYTES = 4
# the least time between two clients, and between two questions which partitions there are
_REST_S = 1.0


@dataclass(slots=True)
class _Batch:
    builder: Any
    acknowledged: asyncio.Future[None]
    records: int = 0


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
        self._strangers = Strangers()

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
        for change in tuple(self._changes):
            change.cancel()
        await self._producer.stop()

    def send(self, topic: str, value: bytes | None, headers: Headers, *, key: bytes | None = None,
             partition: int | None = None) -> asyncio.Future[None]:
        """Take a record; the future is done when its batch is acknowledged, or fails with SendFailed.

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
        batch = lane.waiting[-1]
        if batch.builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            # an empty batch takes any record, whatever its size; that is why sizes are looked at before
            batch = self._open(lane)
            batch.builder.append(timestamp=None, key=key, value=value, headers=headers)
        batch.records += 1
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

    def _open(self, lane: _Lane) -> _Batch:
        if self._producer is None:
            raise SendFailed("the outbox is not started")
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # who does not wait for the acknowledgement must not cause 'exception was never retrieved'
        acknowledged.add_done_callback(heard)
        batch = _Batch(self._producer.create_batch(), acknowledged)
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
            if is_too_large(exc) and batch.records == 1:
                error = RecordTooLarge(str(error))
            log.warning("%s", error, extra={"action": actions.SEND_STALLED, "topic": lane.topic})
            self._metrics.kafka_errors.inc("send")
            batch.acknowledged.set_exception(error)
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
        batch.builder.close()
        try:
            await (await producer.send_batch(batch.builder, lane.topic, partition=partition))
        except CLIENT_ERRORS as exc:
            if was_refused(exc):
                self._begin_anew(producer)
            raise

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

    def _begin_anew(self, refused: AIOKafkaProducer) -> None:
        """Go on with another client, once somebody was refused."""
        now_s = time.monotonic()
        if refused is self._producer and now_s - self._changed_s > _REST_S:
            self._changed_s = now_s
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
        # what it was given by now it delivers first
        under_way = set(self._deliveries)
        if under_way:
            await asyncio.wait(under_way)
        await connect.quietly(refused.stop)


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """What a record takes at the most."""
    size = _RECORD_BYTES + len(key or b"") + len(value or b"") + _HEADER_BYTES * len(headers)
    for name, content in headers:
        size += _NAME_BYTES * len(name) + len(content)
    return size
