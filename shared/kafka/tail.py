"""Read one partition on and on, without a group.

In:    a partition, its beginning or its end.
Out:   a consumer that stands there, a loop that goes on with it; what the watchdog looks at.
Never: what the records mean.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka import connect
from shared.kafka.record import Record
from shared.kafka.unreadable import Careful
from shared.kafka.watchdog import Watched, places_of
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings


class Tail:
    """One consumer of one topic; every process reads for itself."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, topic: str) -> None:
        """Not connected yet."""
        self._settings, self._tasks, self._topic = settings, tasks, topic
        self._consumer: AIOKafkaConsumer | None = None
        self._careful: Careful | None = None
        self._loop: asyncio.Task[None] | None = None

    async def open(self, partition: int = 0, *, at_end: bool = False) -> AIOKafkaConsumer:
        """A consumer whose place is known: no record that comes from now on is missed. Raises KafkaUnavailable."""
        self._consumer = consumer = await connect.lone_consumer(self._settings)
        place = TopicPartition(self._topic, partition)
        consumer.assign([place])
        await (consumer.seek_to_end if at_end else consumer.seek_to_beginning)(place)
        self._careful = Careful(consumer, self._settings.max_poll_records, {place: await consumer.position(place)})
        return consumer

    async def poll(self, max_records: int | None = None) -> list[Record]:
        """What comes within a second, one record after the other, whatever the client makes of it."""
        if self._careful is None:
            raise RuntimeError("not open")
        return [record for records in (await self._careful.poll(max_records=max_records)).values()
                for record in records]

    def follow(self, reading: Coroutine[Any, Any, None]) -> None:
        """Go on with it until `stop`."""
        self._loop = self._tasks.spawn(reading, f"read {self._topic}")

    async def stop(self) -> None:
        """Stop reading, disconnect."""
        await self._tasks.end(self._loop)
        if self._consumer is not None:
            await self._consumer.stop()

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return Watched(name=self._topic, places=lambda: places_of(self._consumer))
