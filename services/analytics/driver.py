"""Faust's Kafka driver, but for records that the Kafka client itself cannot read.

In:    the polls of the stream processor.
Out:   the same, with an `Unreadable` in the place of what cannot be read; its readers put it aside.
Never: the end of the processor, or the loss of another record, because of one that the client cannot read.
"""

from collections.abc import Iterable
from typing import Any

import faust
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as driver

from shared.kafka.faults import UNREADABLE
from shared.kafka.record import Record
from shared.kafka.unreadable import read_around

# one by one, before whoever waits for them has any
_MOST = 500

class CarefulThread(driver.AIOKafkaConsumerThread):
    """Where the consumer lives."""

    async def _fetch_records(self, consumer: Any, active_partitions: Any, *rest: Any, **more: Any) -> Any:
        before = _places(consumer, active_partitions)
        try:
            return await super()._fetch_records(consumer, active_partitions, *rest, **more)
        except UNREADABLE:
            found = await read_around(consumer, before, _MOST, before)
            return {place: [_whole(record) for record in records] for place, records in found.items() if records}


class CarefulConsumer(driver.Consumer):
    """The consumer of such a thread."""

    def _new_consumer_thread(self) -> CarefulThread:
        return CarefulThread(self, loop=self.loop, beacon=self.beacon)


class CarefulApp(faust.App):
    """An app whose consumer reads on."""

    def _new_transport(self) -> Any:
        made: Any = super()._new_transport()
        made.Consumer = CarefulConsumer
        return made


def _places(consumer: Any, partitions: Iterable[TopicPartition] | None) -> dict[TopicPartition, int]:
    """Where each partition stands; those of which that is not known yet cannot have failed."""
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    if assignment is None:
        return {}
    wanted = [TopicPartition(*place) for place in (assignment.tps if partitions is None else partitions)]
    states = {place: assignment.state_value(place) for place in wanted if place in assignment.tps}
    return {place: state.position for place, state in states.items() if state.has_valid_position}


def _whole(record: Record) -> Any:
    """As the client makes them: faust looks at more than we do."""
    if isinstance(record, ConsumerRecord):
        return record
    return ConsumerRecord(record.topic, record.partition, record.offset, record.timestamp, 0, record.key, record.value,
                          None, -1, -1, tuple(record.headers))
