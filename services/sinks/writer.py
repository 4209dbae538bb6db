"""The Parquet sink: envelopes in, sets of files out.

In:    `weir.usage`, from where the folder says that it has got to.
Out:   files; each event once, whatever dies when.
Never: a place that is remembered anywhere but beside the files.
"""

import asyncio
import logging
import signal
from collections.abc import Mapping

from aiokafka import TopicPartition

from services.sinks import parquet
from services.sinks.folder import Folder
from services.sinks.inbox import events_of
from services.sinks.settings import SinkSettings
from shared.clock import Clock
from shared.kafka.span import SpanReader
from shared.kafka.watchdog import Watched
from shared.names import actions, topics
from shared.runtime.tasks import Tasks
from shared.settings.wrong import WrongSetting
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)


class Writer:
    """Gathers events, writes them when there are enough, or when the first has waited long enough."""

    def __init__(self, settings: SinkSettings, reader: SpanReader, clock: Clock, tasks: Tasks,
                 metrics: Metrics) -> None:
        """Raises WrongSetting without a folder, RuntimeError without the library."""
        if settings.folder is None:
            raise WrongSetting("WEIR_SINK_FOLDER is not set; it names the folder that the files go to")
        parquet.arrow()
        self._settings, self._reader, self._clock = settings, reader, clock
        self._tasks, self._metrics = tasks, metrics
        self._folder = Folder(settings.folder)
        self._rows: list[parquet.Row] = []
        self._offsets: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._since_us: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._set: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Take the folder and begin. Raises FolderTaken, OSError, KafkaUnavailable."""
        known = self._folder.open()
        ends = await self._reader.ends()
        self._offsets = where_to_go_on(known, await self._reader.starts(), ends)
        self._written = dict(self._offsets)
        self._task = self._tasks.spawn(self._work(ends if self._settings.once else None), "parquet")

    async def stop(self) -> None:
        """Write what has come, let go."""
        await self._tasks.end(self._task)
        try:
            if self._set is not None:
                await self._set
            await self._flush()
        finally:
            self._folder.close()

    @property
    def watched(self) -> Watched:
        """For the lag alone: while a set is being written it reads nothing, however long that takes."""
        return Watched(name=f"weir-sink-{self._settings.name}", topics=(topics.USAGE,), places=self._places,
                       waits=lambda: True)

    async def _places(self) -> dict[TopicPartition, int]:
        return {TopicPartition(topics.USAGE, partition): offset for partition, offset in self._offsets.items()}

    async def _work(self, ends: Mapping[int, int] | None) -> None:
        async for records in self._reader.read(dict(self._offsets), ends):
            for record in records:
                self._rows.extend((record.partition, record.offset, event)
                                  for event in events_of(record, self._settings, self._metrics))
                self._offsets[record.partition] = record.offset + 1
            if records and self._since_us is None:
                self._since_us = self._clock.elapsed_us()
            if len(self._rows) >= self._settings.file_events or self._is_time():
                await self._flush()
        # all that was there has been read; what cannot be written now fails the service, not only its stop
        await self._flush()
        signal.raise_signal(signal.SIGTERM)

    def _is_time(self) -> bool:
        return (self._since_us is not None
                and self._clock.elapsed_us() - self._since_us >= self._settings.file_s * 1_000_000)

    async def _flush(self) -> None:
        if self._offsets == self._written:
            return
        # a stop waits for a set that is being written, and does not write it a second time
        self._set = asyncio.ensure_future(self._write())
        await asyncio.shield(self._set)

    async def _write(self) -> None:
        rows, offsets = self._rows, dict(self._offsets)
        await asyncio.to_thread(lambda: self._folder.write(parquet.files_of(rows), offsets))
        self._rows, self._written, self._since_us = [], offsets, None
        self._metrics.sink_events.inc("delivered", by=len(rows))


def where_to_go_on(known: Mapping[int, int], first: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, int]:
    """Where the folder has got to, as long as the topic has that; says what is gone."""
    replaced = [partition for partition, end in ends.items() if known.get(partition, 0) > end]
    if replaced:
        log.error("partitions %s of the usage topic end before what this sink has read of them: the topic is another "
                  "one, and is read from its beginning", replaced, extra={"action": actions.SINK_LOST})
    known = {partition: offset for partition, offset in known.items() if partition not in replaced}
    say_lost(known, first)
    return {partition: max(known.get(partition, 0), start) for partition, start in first.items()}


def say_lost(known: Mapping[int, int], first: Mapping[int, int]) -> None:
    """Say what the topic has forgotten before this sink came to it."""
    for partition, start in first.items():
        lost = start - known.get(partition, start)
        if lost > 0:
            log.error("partition %d of the usage topic: %d envelopes were gone before this sink read them", partition,
                      lost, extra={"action": actions.SINK_LOST})
