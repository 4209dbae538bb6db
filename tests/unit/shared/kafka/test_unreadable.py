"""Records that the Kafka client itself cannot read end nobody who reads without a group, and hide no other record."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnsupportedCodecError

from services.control.letter_box import LetterBox, LetterFollower
from services.control.trace_follower import TraceFollower
from services.control.trace_store import TraceStore
from shared.client.pending import Pending
from shared.client.replies import ReplyReader
from shared.contracts.config import Client, to_value
from shared.contracts.dead_letter import DeadLetter
from shared.contracts.origin import Origin
from shared.contracts.reply import ReplyRecord
from shared.kafka import connect
from shared.kafka.follower import ConfigFollower
from shared.kafka.span import SpanReader
from shared.kafka.unreadable import Careful
from shared.names import headers as H
from shared.names import topics
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from tests.support.fakes import FakeRecord
from tests.support.platform import eventually

SETTINGS = KafkaSettings()


class Consumer:
    """Partitions of which some records cannot be read. As the client does, a poll that fails has taken what is before
    the record from this and other partitions."""

    def __init__(self, records: dict[TopicPartition, list[FakeRecord | None]]) -> None:
        self._records, self.next = records, dict.fromkeys(records, 0)

    def assignment(self) -> set[TopicPartition]:
        return set(self._records)

    def assign(self, places: list[TopicPartition]) -> None:
        assert set(places) <= set(self._records)

    def pause(self, *_: TopicPartition) -> None: ...

    def resume(self, *_: TopicPartition) -> None: ...

    async def stop(self) -> None: ...

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.next[place] = offset

    async def seek_to_beginning(self, place: TopicPartition) -> None:
        self.next[place] = 0

    seek_to_end = seek_to_beginning

    async def position(self, place: TopicPartition) -> int:
        return self.next[place]

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: len(self._records[place]) for place in places}

    async def getmany(self, *places: TopicPartition, timeout_ms: int,
                      max_records: int | None = None) -> dict[TopicPartition, list[FakeRecord]]:
        found: dict[TopicPartition, list[FakeRecord]] = {}
        for place in places or self._records:
            for record in self._records[place][self.next[place]:][:max_records]:
                if record is None:
                    raise UnsupportedCodecError("no library for lz4")
                found.setdefault(place, []).append(record)
                self.next[place] += 1
        if not found:
            await asyncio.sleep(timeout_ms / 1_000)
        return found


def partition(*values: Any, topic: str = "t", number: int = 0) -> dict[TopicPartition, list[FakeRecord | None]]:
    """None for a record that cannot be read."""
    return {TopicPartition(topic, number): [
        None if made is None else FakeRecord(topic, number, offset, key=made[0], value=made[1], headers=made[2])
        for offset, made in enumerate(values)]}


def plain(*numbers: int | None) -> list[Any]:
    return [None if number is None else (None, b"%d" % number, []) for number in numbers]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Consumer]:
    def use(records: dict[TopicPartition, list[FakeRecord | None]]) -> Consumer:
        consumer = Consumer(records)

        async def lone_consumer(*_: Any) -> Consumer:
            return consumer
        monkeypatch.setattr(connect, "lone_consumer", lone_consumer)
        return consumer
    return use


def test_records_of_our_topics_are_stored_as_the_client_can_read_them() -> None:
    assert {topic.configs.get("compression.type") for topic in topics.TOPICS} == {"uncompressed"}


async def test_every_other_record_is_read_once_and_in_order() -> None:
    one, other = (next(iter(partition(number=number))) for number in range(2))
    consumer = Consumer({**partition(*plain(1, 2, None, 3, None, None)), **partition(*plain(4, None, 5), number=1)})
    careful = Careful(cast(Any, consumer), 100, {one: 0, other: 0})
    found: dict[TopicPartition, list[tuple[int, bytes | None]]] = {one: [], other: []}
    while consumer.next != {one: 6, other: 3}:
        for place, records in (await careful.poll()).items():
            found[place] += [(record.offset, record.value) for record in records]
    assert found == {one: [(0, b"1"), (1, b"2"), (2, None), (3, b"3"), (4, None), (5, None)],
                     other: [(0, b"4"), (1, None), (2, b"5")]}


async def test_configuration_is_followed_past_it(connected: Callable[[Any], Consumer]) -> None:
    entities = [Client(project="p", name=name, time=1) for name in "abc"]
    first, *rest = [(entity.key, to_value(entity), []) for entity in entities]
    connected(partition(first, None, *rest[:1], topic=topics.CONFIG))
    tasks, seen = Tasks(), list[Any]()
    follower = ConfigFollower(SETTINGS, tasks, Metrics(muted=True), seen.extend)
    await follower.start()
    assert seen == entities[:2]
    assert follower.next_offset == 3
    await follower.stop()


async def _letters(tasks: Tasks) -> Callable[[], Any]:
    box = LetterBox(10)
    await LetterFollower(SETTINGS, tasks, box).start()
    return box.all


async def _traces(tasks: Tasks) -> Callable[[], Any]:
    taken: list[bytes] = []
    store = TraceStore(10)
    store.add = taken.append  # type: ignore[method-assign]  # what is in them is another one's test
    await TraceFollower(SETTINGS, tasks, store).start()
    return lambda: taken.count(b"spans") == 1


async def _replies(tasks: Tasks) -> Callable[[], Any]:
    pending = Pending(10, Metrics(muted=True), cast(Any, SimpleNamespace(new=lambda: b"c", is_own=lambda _: True)))
    _, answer = pending.add()

    async def ours(_: Any) -> Any:
        return [0]
    first = cast(Any, lambda _: asyncio.sleep(0, 0))
    reader = ReplyReader(SETTINGS, tasks, pending, topic=topics.REPLIES, choose=first,
                         outbox=cast(Any, SimpleNamespace(partitions=ours)))
    await reader.start()
    return answer.done


LETTER = DeadLetter(origin=Origin("t", 0, 0), service="policy", error="e", time_ms=1).to_headers([])
REPLY = [(H.CORRELATION_ID, b"c"), *ReplyRecord(request_id="r", status=200).to_headers()]


@pytest.mark.parametrize(("topic", "start", "headers"), [
    (topics.DEAD_LETTERS, _letters, LETTER), (topics.SPANS, _traces, []), (topics.REPLIES, _replies, REPLY)])
async def test_whoever_reads_to_the_end_goes_on_behind_it(
        connected: Callable[[Any], Consumer], topic: str, start: Callable[[Tasks], Awaitable[Callable[[], Any]]],
        headers: list[tuple[str, bytes]]) -> None:
    connected(partition(None, (None, b"spans", headers), topic=topic))
    tasks = Tasks()
    await eventually(await start(tasks), every_s=0.01)
    assert not tasks.failed.done()
    await tasks.stop()


async def test_span_of_a_topic_is_read_past_it(connected: Callable[[Any], Consumer]) -> None:
    connected({**partition(*plain(1, None, 2)), **partition(*plain(None, 3), number=1)})
    reader = SpanReader(SETTINGS, "t")
    await reader.start()
    found = [record.value async for records in reader.read({0: 0, 1: 0}, {0: 3, 1: 2}) for record in records]
    assert sorted(value for value in found if value is not None) == [b"1", b"2", b"3"]
    assert found.count(None) == 2
