"""Follow the config topic: read it to its end before the service is ready, then stay with it.

In:    `weir.config` from its beginning.
Out:   entities, poll by poll, to one callback.
Never: a consumer group: every process reads the whole topic.

Anything unreadable is logged and passed over: one bad record must not keep a cluster from starting.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contracts.config import Entity, from_record
from shared.errors import BadRecord
from shared.kafka import connect
from shared.names import actions, topics
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
_PARTITION = TopicPartition(topics.CONFIG, 0)


class ConfigFollower:
    """Calls `apply` with the entities of each poll, in the order of the topic."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, metrics: Metrics,
                 apply: Callable[[Sequence[Entity]], None]) -> None:
        """`apply` must not block; it runs in the event loop."""
        self._settings, self._tasks, self._metrics, self._apply = settings, tasks, metrics, apply
        self._consumer: AIOKafkaConsumer | None = None
        self._loop: asyncio.Task[None] | None = None
        self._moved = asyncio.Condition()
        self.next_offset = 0

    async def start(self) -> None:
        """Return once everything that was in the topic has been applied."""
        self._consumer = await connect.lone_consumer(self._settings)
        self._consumer.assign([_PARTITION])
        await self._consumer.seek_to_beginning(_PARTITION)
        end = (await self._consumer.end_offsets([_PARTITION]))[_PARTITION]
        while await self._consumer.position(_PARTITION) < end:
            await self._poll(self._consumer)
        self._loop = self._tasks.spawn(self._follow(self._consumer), "follow config")

    async def stop(self) -> None:
        """Stop following, disconnect."""
        await self._tasks.end(self._loop)
        if self._consumer is not None:
            await self._consumer.stop()

    async def wait_for(self, offset: int) -> None:
        """Return once the record at `offset` has been applied here."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.next_offset > offset)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await self._poll(consumer)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        polled = await consumer.getmany(_PARTITION, timeout_ms=1000)
        records = polled.get(_PARTITION, [])
        entities: list[Entity] = []
        for record in records:
            if record.value is None:
                continue
            try:
                entities.append(from_record(record.key, record.value))
            except BadRecord as exc:
                log.warning("config record at offset %d passed over: %s", record.offset, exc,
                            extra={"action": actions.CONFIG_UNREADABLE})
        if entities:
            self._apply(entities)
        if records:
            self._metrics.config_offset.set(records[-1].offset + 1)
            async with self._moved:
                self.next_offset = records[-1].offset + 1
                self._moved.notify_all()
