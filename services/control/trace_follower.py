"""Feed the trace store from the spans topic.

In:    `otlp_spans`, from as far back as the topic goes.
Out:   exports to the store.
Never: the loop held for long: control answers others meanwhile.
"""

import asyncio
import logging

from aiokafka import AIOKafkaConsumer, TopicPartition
from google.protobuf.message import DecodeError

from services.control.trace_store import TraceStore
from shared.kafka import connect
from shared.kafka.watchdog import Watched, places_of
from shared.names import actions, topics
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings

log = logging.getLogger(__name__)
# an export has a hundred spans, as a rule, and takes about a millisecond
_AT_ONCE = 5


class TraceFollower:
    """Reads once started."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, store: TraceStore) -> None:
        """Not connected yet."""
        self._settings, self._tasks, self._store = settings, tasks, store
        self._consumer: AIOKafkaConsumer | None = None
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read; nobody waits for the end."""
        self._consumer = await connect.lone_consumer(self._settings)
        self._consumer.assign([TopicPartition(topics.SPANS, 0)])
        await self._consumer.seek_to_beginning()
        self._loop = self._tasks.spawn(self._run(self._consumer), "follow spans")

    async def stop(self) -> None:
        """Stop reading, disconnect."""
        await self._tasks.end(self._loop)
        if self._consumer is not None:
            await self._consumer.stop()

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return Watched(name=topics.SPANS, places=lambda: places_of(self._consumer))

    async def _run(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000, max_records=_AT_ONCE)).values():
                for record in records:
                    try:
                        self._store.add(record.value or b"")
                    except DecodeError:
                        log.warning("spans at offset %d are not OTLP", record.offset,
                                    extra={"action": actions.RECORD_DEAD})
            await asyncio.sleep(0)
