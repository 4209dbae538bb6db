"""A consumer is stuck when something waits for it and it does not move, and not otherwise. Topics that are gone."""

import asyncio
import logging
from typing import Any

import pytest
from aiokafka import TopicPartition

from shared.kafka.watchdog import Places, Progress, Watchdog, Watched
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from tests.support.platform import eventually

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
Look = tuple[float, Places, Places, bool]


@pytest.mark.parametrize(("looks", "still"), [
    ([(0, {A: 5}, {A: 5}, False), (9, {A: 5}, {A: 5}, False)], None),
    ([(0, {A: 5}, {A: 5}, False), (9, {A: 5}, {A: 6}, False), (19, {A: 5}, {A: 9}, False)], (A, 10.0)),
    ([(0, {A: 5}, {A: 9}, False), (9, {A: 6}, {A: 99}, False)], (A, 0.0)),
    ([(0, {A: 5}, {A: 9}, False), (9, {A: 5}, {A: 9}, True), (10, {A: 5}, {A: 9}, False)], (A, 1.0)),
    ([(0, {A: 5}, {A: 9}, False), (9, {A: 5}, {}, True)], None),
    ([(0, {A: 5}, {A: 9}, False), (9, {B: 1}, {B: 2}, False)], (B, 0.0)),
    ([(0, {A: 5, B: 1}, {A: 9, B: 9}, False), (4, {A: 6, B: 1}, {A: 9, B: 9}, False)], (B, 4.0)),
    ([(0, {A: 5}, {A: 9}, False), (9, {}, {}, False)], None)],
    ids=["nothing to read", "stands still", "slow but moving", "excused once", "ends unknown", "moved elsewhere",
         "one of two", "owns nothing"])
def test_time_for_which_a_consumer_stands_still_though_something_waits(
        looks: list[Look], still: tuple[TopicPartition, float] | None) -> None:
    progress, last = Progress(), 0.0
    for now_s, places, ends, excused in looks:
        progress.look(now_s, places, ends, excused=excused)
        last = now_s
    assert progress.still(last) == still


class Asker:
    """A client that knows which topics there are."""

    def __init__(self, *there: str) -> None:
        self.there, self.unauthorized_topics = set(there), set[str]()
        self._client = self.cluster = self

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {0} if topic in self.there else None

    async def set_topics(self, _: Any) -> bool:
        return False

    async def force_metadata_update(self) -> bool:
        """At the second try."""
        return True


async def nowhere() -> Places:
    """What a consumer has of a topic that is gone."""
    return {}


async def test_topic_that_is_deleted_while_it_is_read_makes_its_reader_unready_until_it_is_there_again(
        caplog: pytest.LogCaptureFixture) -> None:
    tasks, asker = Tasks(), Asker("t", "u")
    asker.unauthorized_topics = {"secret"}
    dog = Watchdog(KafkaSettings(watch_every_ms=5), tasks, Metrics(),
                   [Watched(name="g", topics=("t", "u", "secret"), places=nowhere)])
    with caplog.at_level(logging.ERROR):
        looking = asyncio.create_task(dog._run(asker))
        await asyncio.sleep(0.05)
        assert await dog.probe() is None
        asker.there.discard("t")
        await eventually(dog.probe, every_s=0.01)
        assert str(await dog.probe()).startswith("t: there is no such topic")
        asker.there.add("t")

        async def well() -> bool:
            return await dog.probe() is None
        await eventually(well, every_s=0.01)
    assert [record.getMessage()[:16] for record in caplog.records] == ["t cannot be read"]
    looking.cancel()
