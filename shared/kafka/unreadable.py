"""Get past records that the Kafka client itself cannot read.

In:    a consumer whose poll has failed, the place where each of its partitions stands.
Out:   the records up to the unreadable one, and an `Unreadable` in its place.
Never: a record lost: the failed poll may have taken some from other partitions, so all are read again.

aiokafka fails the whole poll, without saying on which partition, where records were compressed by snappy, lz4 or zstd,
which it reads with the help of a library that we do not have: our topics are stored uncompressed, but older ones, and
those of others, may not be.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka.faults import UNREADABLE
from shared.kafka.record import Record
from shared.names import actions
from shared.names import headers as H

log = logging.getLogger(__name__)


class Careful:
    """The polls of a consumer without a group: what the client cannot read does not end them."""

    def __init__(self, consumer: AIOKafkaConsumer, limit: int, places: Mapping[TopicPartition, int]) -> None:
        """`places`: where each partition stands; `limit`: how many records are read around one that cannot be read."""
        self._consumer, self._limit, self._places = consumer, limit, dict(places)

    async def poll(self, *partitions: TopicPartition,
                   max_records: int | None = None) -> dict[TopicPartition, list[Record]]:
        """As `getmany`, within a second; an `Unreadable` stands for what cannot be read."""
        wanted = partitions or tuple(self._places)
        try:
            polled: dict[TopicPartition, list[Record]] = await self._consumer.getmany(
                *wanted, timeout_ms=1000, max_records=max_records)
        except UNREADABLE:
            polled = await read_around(self._consumer, self._places, max_records or self._limit, wanted)
        for partition, records in polled.items():
            if records:
                self._places[partition] = records[-1].offset + 1
        return polled


@dataclass(slots=True)
class Unreadable:
    """A record of which the place is all that is known."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


async def read_around(consumer: AIOKafkaConsumer, places: Mapping[TopicPartition, int], limit: int,
                      partitions: Iterable[TopicPartition] | None = None) -> dict[TopicPartition, list[Record]]:
    """Read each partition from its place, one record at a time, at most `limit` records or to its first `Unreadable`.

    A partition without a place is read from what is committed, or from its beginning. `partitions`: those that the
    failed poll was for, if not for all.
    """
    polled: dict[TopicPartition, list[Record]] = {}
    assigned = sorted(consumer.assignment() if partitions is None else partitions)
    for partition in assigned:
        place = places[partition] if partition in places else await consumer.committed(partition)
        if place is None:
            await consumer.seek_to_beginning(partition)
        else:
            consumer.seek(partition, place)
    for partition in assigned:
        polled[partition] = await _one_by_one(consumer, partition, limit)
    return polled


async def _one_by_one(consumer: AIOKafkaConsumer, partition: TopicPartition, limit: int) -> list[Record]:
    end = (await consumer.end_offsets([partition]))[partition]
    records: list[Record] = []
    while len(records) < limit and await consumer.position(partition) < end:
        try:
            records += (await consumer.getmany(partition, timeout_ms=1000, max_records=1)).get(partition, [])
        except UNREADABLE as exc:
            offset = await consumer.position(partition)
            log.warning("record %s/%d/%d cannot be read: %s", partition.topic, partition.partition, offset, exc,
                        extra={"action": actions.RECORD_DEAD})
            consumer.seek(partition, offset + 1)
            records.append(Unreadable(partition.topic, partition.partition, offset,
                                      headers=((H.UNREADABLE, str(exc).encode()),)))
            break
    return records
