"""A consumer that has stopped fetching is noticed, on a real broker; one that waits for good reason is left alone."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.kafka.intake import Intake, Subscription
from shared.kafka.outbox import Outbox
from shared.kafka.topics import ensure_topics
from shared.kafka.watchdog import ConsumerStopped, Watchdog
from shared.names.topics import Topic
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from tests.support.platform import Platform, eventually

STUCK_S = 1.0


class Watch:
    """An intake that finishes nothing, and the watchdog that looks at it."""

    def __init__(self, kafka: KafkaSettings, topic: str, max_open: int) -> None:
        settings = kafka.model_copy(update={"watch_every_ms": 100, "stuck_after_ms": int(STUCK_S * 1000)})
        self.tasks, self.metrics, self.seen = Tasks(), Metrics(), list[Any]()
        self.intake = Intake(settings, self.tasks, self.metrics, Subscription(
            group=topic, instance=f"{topic}-0", topics=[topic], max_open=max_open))
        self.intake.handler = self.seen.extend
        self.dog = Watchdog(settings, self.tasks, self.metrics, [self.intake.watched])

    def value(self, name: str, **labels: str) -> float:
        found = self.metrics.registry.get_sample_value(name, labels)
        assert found is not None
        return found


@pytest.fixture
async def topic(platform: Platform, name: str) -> str:
    await ensure_topics(platform.kafka, [Topic(name=name, value="", writers=(), readers=(), partitions=1)])
    return name


@pytest.fixture
async def watch(kafka: KafkaSettings, topic: str, request: Any) -> AsyncIterator[Watch]:
    made = Watch(kafka, topic, getattr(request, "param", 1_000))
    await made.intake.start()
    await made.dog.start()
    yield made
    await made.dog.stop()
    await made.tasks.stop()
    assert made.intake._consumer is not None
    await made.intake._consumer.stop()


async def hang(*_: Any, **__: Any) -> None:
    await asyncio.Event().wait()


async def nothing(*_: Any, **__: Any) -> dict[Any, Any]:
    await asyncio.sleep(0.05)
    return {}


@pytest.mark.parametrize("poll", [hang, nothing], ids=["poll that hangs", "fetch that brings nothing"])
async def test_consumer_that_reads_nothing_though_records_wait_ends_its_process(
        watch: Watch, outbox: Outbox, topic: str, poll: Any) -> None:
    await outbox.send(topic, b"x", [])
    await eventually(lambda: watch.seen)
    assert not watch.tasks.failed.done()
    assert watch.intake._consumer is not None
    watch.intake._consumer.getmany = poll
    for _ in range(3):
        # the poll under way still takes the first ones
        await outbox.send(topic, b"x", [])
        await asyncio.sleep(1.1)
    error = await asyncio.wait_for(watch.tasks.failed, STUCK_S + 5)
    assert isinstance(error, ConsumerStopped)
    assert f"consumer {topic} has read nothing of {topic}/0" in str(error)
    assert watch.value("weir_consumer_lag", topic=topic, partition="0") >= 1


@pytest.mark.parametrize("watch", [1], indirect=True)
async def test_consumer_whose_bounds_are_full_is_left_alone_and_its_age_is_told(
        watch: Watch, outbox: Outbox, topic: str) -> None:
    for number in range(5):
        await outbox.send(topic, b"%d" % number, [])
        await eventually(lambda: watch.seen)
    await asyncio.sleep(STUCK_S * 2.5)
    assert not watch.tasks.failed.done()
    assert watch.value("weir_oldest_record_seconds", consumer=topic) >= STUCK_S * 2
    assert watch.value("weir_consumer_lag", topic=topic, partition="0") >= 1
    watch.intake.finished(watch.seen)
    await eventually(lambda: len(watch.seen) == 5 or watch.intake.finished(watch.seen))


async def test_broker_that_is_away_is_not_the_consumers_fault(
        platform: Platform, watch: Watch, outbox: Outbox, topic: str) -> None:
    await outbox.send(topic, b"x", [])
    await eventually(lambda: watch.seen)
    broker = platform.processes()["kafka"].pid
    os.kill(broker, signal.SIGSTOP)
    try:
        await asyncio.sleep(STUCK_S * 3)
    finally:
        os.kill(broker, signal.SIGCONT)
    await outbox.send(topic, b"x", [])
    await eventually(lambda: len(watch.seen) == 2)
    assert not watch.tasks.failed.done()


def test_stopped_process_is_noticed_and_begins_anew_within_thirty_seconds(platform: Platform) -> None:
    before = platform.processes()["policy-2"]
    os.kill(before.pid, signal.SIGSTOP)
    began = time.monotonic()
    asyncio.run(eventually(lambda: platform.processes()["policy-2"].pid not in (0, before.pid), within_s=30))
    print(f"a stopped policy process was ended and started anew after {time.monotonic() - began:.1f} s")
    # how long a start takes is the machine's business
    asyncio.run(eventually(platform.is_green, within_s=60))
