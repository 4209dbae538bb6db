"""A sink that is to write once and end says by its end whether it has written."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from services.sinks.folder import Folder
from services.sinks.settings import SinkSettings
from services.sinks.writer import Writer
from shared.contracts.usage import Envelope
from shared.kafka.span import SpanReader
from shared.names import topics
from shared.runtime.tasks import Tasks
from shared.telemetry.metrics import Metrics
from tests.support.fakes import StoppedClock
from tests.support.usage import event


class Reader:
    """One envelope on one partition."""

    async def starts(self) -> dict[int, int]:
        return {0: 0}

    async def ends(self) -> dict[int, int]:
        return {0: 1}

    async def read(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> AsyncIterator[list[Any]]:
        value, headers = Envelope(producer="p", sequence=0, events=[event()]).to_record()
        yield [SimpleNamespace(topic="t", partition=0, offset=0, value=value, headers=headers)]


async def test_sink_that_cannot_write_what_was_there_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")
    ended: list[int] = []
    monkeypatch.setattr(Folder, "write", full)
    monkeypatch.setattr(signal, "raise_signal", ended.append)
    tasks = Tasks()
    writer = Writer(SinkSettings(kind="parquet", folder=tmp_path, once=True), cast(SpanReader, Reader()),
                    StoppedClock(0), tasks, Metrics())
    await writer.start()
    assert isinstance(await asyncio.wait_for(tasks.failed, 5), OSError)
    assert ended == []
    with pytest.raises(OSError, match="No space"):
        await writer.stop()


async def test_files_are_written_in_time_though_somebody_sets_the_clock_back(tmp_path: Path) -> None:
    clock, written = StoppedClock(10**12), asyncio.Event()

    class Flowing(Reader):
        async def read(self, starts: Mapping[int, int], ends: Mapping[int, int] | None) -> AsyncIterator[list[Any]]:
            async for records in super().read(starts, {}):
                yield records
            clock.now, clock.set_ms = clock.now + 60_000, -3_600_000
            yield []
            written.set()
            await asyncio.sleep(60)
    tasks = Tasks()
    writer = Writer(SinkSettings(kind="parquet", folder=tmp_path, file_s=60), cast(SpanReader, Flowing()),
                    clock, tasks, Metrics())
    await writer.start()
    await asyncio.wait_for(written.wait(), 5)
    assert not writer._rows
    assert await writer.watched.places() == {TopicPartition(topics.USAGE, 0): 1}
    assert writer.watched.waits(), "a set may take long to be written"
    await writer.stop()
