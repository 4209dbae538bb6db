"""Following the config topic on the real broker."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from shared.contracts import config
from shared.contracts.config import Client, DroppedVersion, Entity, OldVersion, ProjectVersion
from shared.decision.book import PolicyBook
from shared.kafka import follower as module
from shared.kafka.follower import ConfigFollower
from shared.kafka.outbox import Outbox
from shared.kafka.topics import ensure_topics
from shared.names.topics import Topic
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from tests.support.platform import Platform, eventually

DOCUMENT = {"name": "shop", "workflows": {"w": {"name": "w", "steps": [{"id": "a", "reply": {"body": 1}}]}},
            "operations": [{"name": "o", "method": "GET", "path": "/o", "workflow": "w"}]}


@pytest.fixture
async def config_topic(platform: Platform, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A compacted topic of the test's own in the place of the cluster's."""
    await ensure_topics(platform.kafka, [Topic(name=name, value="", writers=(), readers=(), partitions=1,
                                                   configs={"cleanup.policy": "compact"})])
    monkeypatch.setattr(module, "_CONFIG", module.TopicPartition(name, 0))
    return name


class Reader:
    """A follower that keeps what it was told, or hands it to a book."""

    def __init__(self, kafka: KafkaSettings, book: PolicyBook | None = None) -> None:
        self.tasks, self.seen, self.book = Tasks(), list[Entity](), book
        self.follower = ConfigFollower(kafka, self.tasks, Metrics(), self._apply)

    def _apply(self, entities: Sequence[Entity]) -> None:
        self.seen += entities
        if self.book is not None:
            self.book.take(entities)


@pytest.fixture
async def reader(kafka: KafkaSettings, config_topic: str) -> AsyncIterator[Reader]:
    """Reads `config_topic`; stopped at the end, whatever happened."""
    made = Reader(kafka, PolicyBook())
    yield made
    await made.follower.stop()
    await made.tasks.stop()


def client(number: int) -> Client:
    return Client(project="p", name=f"c{number}", time=number)


def version(number: int, **document: object) -> ProjectVersion:
    return ProjectVersion(project="shop", version=number, document={**DOCUMENT, **document}, files={}, time=number)


async def put(outbox: Outbox, topic: str, *entities: Entity) -> None:
    await asyncio.gather(*{outbox.send(topic, config.to_value(one), [], key=one.key) for one in entities})


async def test_everything_written_before_is_applied_when_start_returns(
        reader: Reader, outbox: Outbox, config_topic: str) -> None:
    for start in range(0, 1500, 500):
        await put(outbox, config_topic, *map(client, range(start, start + 500)))
    await reader.follower.start()
    assert [entity.time for entity in reader.seen if isinstance(entity, Client)] == list(range(1500))
    assert reader.follower.next_offset == 1500


async def test_of_a_project_with_many_versions_only_the_newest_is_held_whole(
        reader: Reader, outbox: Outbox, config_topic: str) -> None:
    # another control process may have written at the same time: not all stand in order
    numbers = [1, 2, 4, 3, *range(5, 700)]
    for number in numbers:
        outbox.send(config_topic, config.to_value(version(number)), [], key=version(number).key)
    await outbox.send(config_topic, None, [], key=version(2).key)
    await reader.follower.start()
    assert [entity.version for entity in reader.seen if isinstance(entity, ProjectVersion)] == [699]
    assert [entity.version for entity in reader.seen if isinstance(entity, OldVersion)] == numbers[:-1]
    assert reader.seen[-1] == DroppedVersion(project="shop", version=2)
    assert reader.book is not None
    assert reader.book.project("shop") is not None


async def test_empty_topic_is_read_to_its_end_at_once(reader: Reader, config_topic: str) -> None:
    began = time.monotonic()
    await reader.follower.start()
    assert (reader.seen, reader.follower.next_offset) == ([], 0)
    assert time.monotonic() - began < 3


async def test_change_is_applied_within_a_second(reader: Reader, outbox: Outbox, config_topic: str) -> None:
    await reader.follower.start()
    for number in range(5):
        await put(outbox, config_topic, client(number))
        await asyncio.wait_for(reader.follower.wait_for(number), 1)
    assert len(reader.seen) == 5


@pytest.mark.parametrize(("key", "value"), [
    (b"", b"{}"), (b"nonsense", b"{}"), (b"token/x", b"\xff"), (b"token/x", b"[]"), (b"token/x", b"{}"),
    (b"client/p/c", b'{"project":"p","name":"c","time":1,"roles":["r"],"more":1}'), (b"project/shop/9", None),
    (b"client/p/other", config.to_value(client(1))),
    (b"project/shop/9", b'{"project":"shop","version":"9","document":{},"files":{},"time":1}'),
    (b"project/shop/9", b'{"project":"shop","version":9,"document":[],"files":{},"time":1}'),
    (b"token/9", b'{"id":9,"project":"p","client":"c","digests":{"a":"b"},"created":0}'),
    (b"token/t", b'{"id":"t","project":"p","client":"c","digests":["a"],"created":0}'),
    (b"token/t", b'{"id":"t","project":"p","client":"c","digests":{},"created":0,"revoked":"now"}'),
    (version(9).key, config.to_value(version(9, name=5))),
    (version(9).key, config.to_value(version(9, operations="none"))),
    (version(9).key, config.to_value(version(9, of_tomorrow=True))),
], ids=["empty key", "unknown kind", "not JSON", "no object", "no members", "unknown member", "removed",
        "other key", "version as text", "document as list", "id as number", "digests as list", "time as text",
        "wrong name", "wrong operations", "document of a later release"])
async def test_record_that_cannot_be_used_keeps_no_service_from_starting_and_the_version_before_stays_in_force(
        reader: Reader, outbox: Outbox, config_topic: str, key: bytes | None, value: bytes | None) -> None:
    await put(outbox, config_topic, version(3))
    await outbox.send(config_topic, value, [], key=key)
    await put(outbox, config_topic, client(1))
    await reader.follower.start()
    book = reader.book
    assert book is not None
    project = book.project("shop")
    assert project is not None
    assert (project.version, reader.seen[-1]) == (3, client(1))
    await outbox.send(config_topic, value, [], key=key)
    await put(outbox, config_topic, version(10))
    await eventually(lambda: (found := book.project("shop")) is not None and found.version == 10, within_s=3)
    assert not reader.tasks.failed.done()
