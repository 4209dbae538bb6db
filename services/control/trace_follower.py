"""Feed the trace store from the spans topic.

In:    `otlp_spans`, from as far back as the topic goes.
Out:   exports to the store.
Never: the loop held for long: control answers others meanwhile.
"""

import asyncio
import logging

from google.protobuf.message import DecodeError

from services.control.trace_store import TraceStore
from shared.kafka.tail import Tail
from shared.kafka.watchdog import Watched
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
        self._tail, self._store = Tail(settings, tasks, topics.SPANS), store

    async def start(self) -> None:
        """Begin to read; nobody waits for the end."""
        await self._tail.open()
        self._tail.follow(self._run())

    async def stop(self) -> None:
        """Stop reading, disconnect."""
        await self._tail.stop()

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return self._tail.watched

    async def _run(self) -> None:
        while True:
            for record in await self._tail.poll(_AT_ONCE):
                try:
                    self._store.add(record.value or b"")
                except DecodeError:
                    log.warning("spans at offset %d are not OTLP", record.offset,
                                extra={"action": actions.RECORD_DEAD})
            await asyncio.sleep(0)
