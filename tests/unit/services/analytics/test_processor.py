"""Where the processor stands, while partitions move; what ends it."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, TopicAuthorizationFailedError

from services.analytics import processor as module
from services.analytics.follow import Places
from services.analytics.processor import Processor
from shared.kafka import rights
from shared.kafka.faults import SendFailed
from shared.names import topics
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings


class Consumer:
    """Of four partitions, one of which was given to somebody else a moment ago, and one of which begins."""

    def assignment(self) -> list[TopicPartition]:
        """With a topic that is not counted."""
        return [TopicPartition(topics.USAGE, number) for number in range(3)] + [TopicPartition(topics.QUERIES, 0)]

    async def position(self, place: TopicPartition) -> int | None:
        """As faust asks the client."""
        if place.partition == 1:
            raise IllegalStateError(f"Partition {place} is not assigned")
        return {0: 7, 2: None}[place.partition]


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is allowed; faust is looked at each hundredth of a second."""
    async def look(*_: Any) -> None:
        """Nothing is missing."""
    monkeypatch.setattr(rights, "look", look)
    monkeypatch.setattr(module, "_LOOK_S", 0.01)


async def begin(tasks: Tasks) -> tuple[Any, list[Any]]:
    """An app that has started, and what the rewinder was given."""
    begun: list[Any] = []

    async def start() -> None:
        """Joins at once."""
    app = SimpleNamespace(consumer=Consumer(), finalize=lambda: None, start=start, crashed=False, crash_reason=None)
    rewinder = SimpleNamespace(begin=lambda *asked: begun.extend(asked))
    await Processor(cast(Any, app), Places(), cast(Any, rewinder), KafkaSettings(), tasks).start()
    return app, begun


async def test_partition_that_moves_while_it_is_looked_at_stands_nowhere() -> None:
    tasks = Tasks()
    _, begun = await begin(tasks)
    assert await begun[0]() == {0: 7}
    await tasks.stop()


async def test_app_whose_reader_has_crashed_ends_the_service_and_says_why() -> None:
    tasks = Tasks()
    app, begun = await begin(tasks)
    app.crash_reason, app.crashed = TopicAuthorizationFailedError("weir.usage"), True
    error = await asyncio.wait_for(tasks.failed, 1)
    assert isinstance(error, SendFailed)
    assert "weir.usage" in str(error)
    assert "deploy.kafka.acls" in str(error)
    with pytest.raises(SendFailed, match=r"weir\.usage"):
        # whoever comes to it first
        await begun[0]()
