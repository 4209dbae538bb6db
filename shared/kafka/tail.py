"""Read one partition on and on, without a group.

In:    a partition, its beginning or its end.
Out:   a consumer that stands there, a loop that goes on with it; what the watchdog looks at.
Never: what the records mean.
"""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS, forbidden, translate
from shared.kafka.record import Record
from shared.kafka.unreadable import Careful
from shared.kafka.watchdog import Watched, places_of
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings

log = logging.getLogger(__name__)
_TELL_S = 5.0


class Tail:
    """One consumer of one topic; every process reads for itself."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, topic: str) -> None:
        """Not connected yet."""
        self._settings, self._tasks, self._topic = settings, tasks, topic
        self._consumer: AIOKafkaConsumer | None = None
        self._careful: Careful | None = None
        self._loop: asyncio.Task[None] | None = None

    async def open(self, partition: int = 0, *, at_end: bool = False) -> AIOKafkaConsumer:
        """A consumer whose place is known: no record that comes from now on is missed. Raises KafkaUnavailable, or
        SendFailed where the topic may not be read."""
        self._consumer = consumer = await connect.lone_consumer(self._settings)
        place = TopicPartition(self._topic, partition)
        consumer.assign([place])
        seek = consumer.seek_to_end if at_end else consumer.seek_to_beginning
        finding = asyncio.ensure_future(_found(consumer, place, seek(place)))
        try:
            # the client would wait for ever, whatever it waits for
            while not (await asyncio.wait([finding], timeout=_TELL_S))[0]:
                self._say_why(consumer._client.cluster)
            self._careful = Careful(consumer, self._settings.max_poll_records, {place: finding.result()})
        finally:
            finding.cancel()
        return consumer

    def _say_why(self, cluster: Any) -> None:
        """Why it cannot be read yet. Raises SendFailed."""
        if self._topic in cluster.unauthorized_topics:
            raise forbidden(self._topic)
        log.warning("%s cannot be read yet: %s", self._topic, "the broker does not tell where it ends"
                    if cluster.partitions_for_topic(self._topic) else "the broker does not answer, or there is no such "
                    "topic (`python -m shared.kafka.topics` makes it)", extra={"action": actions.KAFKA_RETRY})

    async def poll(self, max_records: int | None = None) -> list[Record]:
        """What comes within a second, one record after the other, whatever the client makes of it. Raises
        KafkaUnavailable, SendFailed."""
        if self._careful is None:
            raise RuntimeError("not open")
        try:
            polled = await self._careful.poll(max_records=max_records)
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"reading {self._topic}") from exc
        return [record for records in polled.values() for record in records]

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
        return Watched(name=self._topic, topics=(self._topic,), places=lambda: places_of(self._consumer))


async def _found(consumer: AIOKafkaConsumer, place: TopicPartition, sought: Awaitable[object]) -> int:
    await sought
    offset: int = await consumer.position(place)
    return offset
