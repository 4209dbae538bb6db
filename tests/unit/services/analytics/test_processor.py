"""Where the processor stands, while partitions move."""

from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from services.analytics.follow import Places
from services.analytics.processor import Processor
from shared.names import topics


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


async def test_partition_that_moves_while_it_is_looked_at_stands_nowhere() -> None:
    begun: list[Any] = []

    async def start() -> None:
        """Joins at once."""
    app = SimpleNamespace(consumer=Consumer(), finalize=lambda: None, start=start)
    rewinder = SimpleNamespace(begin=lambda *asked: begun.extend(asked))
    await Processor(cast(Any, app), Places(), cast(Any, rewinder)).start()
    assert await begun[0]() == {0: 7}
