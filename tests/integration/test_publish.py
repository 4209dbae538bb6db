"""The publish step against the real broker."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.executor.steps.publish import may_publish
from shared.errors import WeirError
from shared.kafka.outbox import Outbox
from shared.kafka.topics import ensure_topics
from shared.names.topics import TOPICS, Topic
from shared.settings.kafka import KafkaSettings
from tests.support.platform import Platform
from tests.unit.services.executor.test_run import perform


@pytest.fixture
async def topic(platform: Platform, name: str) -> str:
    await ensure_topics(platform.kafka, [
        Topic(name=f"shop.{name}", value="", writers=(), readers=(), partitions=5, configs={})])
    return f"shop.{name}"


@pytest.fixture
async def outbox(platform: Platform) -> AsyncIterator[Outbox]:
    made = Outbox(KafkaSettings(bootstrap=platform.bootstrap))
    await made.start()
    yield made
    await made.stop()


async def publish(outbox: Outbox, **settings: Any) -> Any:
    made, _ = await perform([{"id": "p", "publish": settings}, {"id": "answer", "reply": {}}], outbox=outbox,
                            trigger={"n": 7}, left_ms=10_000)
    return made


async def test_record_is_on_the_topic_where_kafkas_own_clients_would_put_it(
        platform: Platform, outbox: Outbox, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=platform.bootstrap)
    await producer.start()
    keys = [f"key-{number}" for number in range(6)]
    expected = {key: (await producer.send_and_wait(topic, b"theirs", key=key.encode())).partition for key in keys}
    await producer.stop()
    for key in keys:
        assert not isinstance(await publish(outbox, topic=topic, key=key, headers={"x-n": "{% trigger.n %}"},
                                            value={"n": "{% trigger.n %}"}), WeirError)
    assert not isinstance(await publish(outbox, topic=topic, value="plain"), WeirError)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=platform.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found = [await consumer.getone() for _ in range(2 * len(keys) + 1)]
    await consumer.stop()
    ours = [record for record in found if record.value == b'{"n":7}']
    assert {record.key.decode(): record.partition for record in ours} == expected
    headers = dict(ours[0].headers)
    assert headers["x-n"] == b"7"
    assert headers["traceparent"].startswith(b"00-")
    assert [record.key for record in found if record.value == b"plain"] == [None]


async def test_what_cannot_be_published_fails_with_a_kind_of_its_own(outbox: Outbox, topic: str) -> None:
    for settings, kind in (({"topic": "other", "value": 1}, "topic-refused"),
                           ({"topic": topic, "value": "x" * 2_000_000}, "record-too-large")):
        error = await publish(outbox, **settings)
        assert isinstance(error, WeirError)
        assert error.members["error"] == kind


def test_own_topics_are_never_published_to() -> None:
    everything = ("weir.", "weir.config", *(topic.name for topic in TOPICS), "shop.", "exact")
    assert not any(may_publish(topic.name, everything) for topic in TOPICS)
    assert [may_publish(name, everything) for name in ("shop.a", "shop", "exact", "exact.a", "weir.new")] == [
        True, False, True, False, False]
