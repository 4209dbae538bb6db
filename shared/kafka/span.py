"""Read a part of a topic once, from its start to its end.

In:    a topic, where to begin and where to end.
Out:   its records, poll by poll.
Never: a group, a commit.
"""

from collections.abc import AsyncIterator, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS, translate
from shared.kafka.record import Record
from shared.kafka.unreadable import Careful
from shared.settings.kafka import KafkaSettings


class SpanReader:
    """One consumer, for one reading."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        """Connects with `start`."""
        self._settings, self._topic = settings, topic
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Connect. Raises KafkaUnavailable."""
        self._consumer = await connect.lone_consumer(self._settings, self._topic)

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def ends(self) -> dict[int, int]:
        """Partition -> the offset that the next record will have. Raises KafkaUnavailable, SendFailed."""
        consumer = self._connected()
        try:
            found = await consumer.end_offsets(list(consumer.assignment()))
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"looking for the end of {self._topic}") from exc
        return {place.partition: offset for place, offset in found.items()}

    async def starts(self) -> dict[int, int]:
        """Partition -> offset of the first record there is. Raises KafkaUnavailable, SendFailed."""
        consumer = self._connected()
        try:
            found = await consumer.beginning_offsets(list(consumer.assignment()))
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"looking for the start of {self._topic}") from exc
        return {place.partition: offset for place, offset in found.items()}

    async def at(self, time_ms: int) -> dict[int, int]:
        """Partition -> offset of the first record from that time on, or its end. Raises KafkaUnavailable, ..."""
        consumer = self._connected()
        try:
            places = list(consumer.assignment())
            ends = await consumer.end_offsets(places)
            found = await consumer.offsets_for_times(dict.fromkeys(places, time_ms))
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"looking for a time in {self._topic}") from exc
        return {place.partition: found[place].offset if found.get(place) else ends[place] for place in places}

    async def read(self, starts: Mapping[int, int],
                   ends: Mapping[int, int] | None = None) -> AsyncIterator[list[Record]]:
        """Records from `starts` up to, without, `ends`, in the order of each partition; without ends for ever, with an
        empty list each second in which nothing comes. Raises KafkaUnavailable, SendFailed."""
        consumer = self._connected()
        left: dict[TopicPartition, int] = {}
        for place in consumer.assignment():
            start = starts.get(place.partition)
            if start is None or (ends is not None and start >= ends.get(place.partition, 0)):
                consumer.pause(place)
            else:
                consumer.resume(place)
                consumer.seek(place, start)
                left[place] = start
        careful = Careful(consumer, self._settings.max_poll_records, left)
        while left:
            try:
                polled = await careful.poll(*left)
                if ends is not None:
                    left = {place: start for place, start in left.items()
                            if await consumer.position(place) < ends[place.partition]}
            except CLIENT_ERRORS as exc:
                raise translate(exc, f"reading {self._topic}") from exc
            yield [record for place, records in polled.items() for record in records
                   if ends is None or record.offset < ends[place.partition]]

    def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("not started")
        return self._consumer

