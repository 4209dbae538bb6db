"""The stream processor reads on past a record that the Kafka client cannot read."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnsupportedCodecError
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as faust_driver

from services.analytics.app import Handlers, _record, build_app
from services.analytics.driver import CarefulConsumer, CarefulThread
from shared.names import headers as H
from shared.names import topics
from shared.settings.kafka import KafkaSettings

USAGE, QUERIES = TopicPartition(topics.USAGE, 0), TopicPartition(topics.QUERIES, 0)


class Client:
    """As aiokafka: a poll that fails has moved the partitions that it took records from."""

    def __init__(self) -> None:
        self.records: dict[TopicPartition, list[bytes | None]] = {
            USAGE: [b"0", b"1", b"2"], QUERIES: [b"3", None, b"4"]}
        self.next = dict.fromkeys(self.records, 0)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=SimpleNamespace(
            tps=set(self.records), state_value=lambda place: SimpleNamespace(
                has_valid_position=True, position=self.next[place]))))

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.next[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self.next[place]

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: len(self.records[place]) for place in places}

    async def getmany(self, *places: TopicPartition, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        found: dict[TopicPartition, list[Any]] = {}
        for place in places or self.records:
            for value in self.records[place][self.next[place]:][:max_records]:
                if value is None:
                    raise UnsupportedCodecError("no library for lz4")
                found.setdefault(place, []).append(ConsumerRecord(
                    place.topic, place.partition, self.next[place], 5, 0, None, value, None, -1, len(value), ()))
                self.next[place] += 1
        return found


async def test_records_behind_and_beside_it_are_handed_over_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(_self: Any, consumer: Client, places: Any, **_: Any) -> Any:
        return await consumer.getmany(*places or ())
    monkeypatch.setattr(faust_driver.AIOKafkaConsumerThread, "_fetch_records", fetch)
    thread, client = cast(Any, CarefulThread.__new__(CarefulThread)), Client()
    taken: list[Any] = []
    while client.next != {USAGE: 3, QUERIES: 3}:
        polled = await thread._fetch_records(client, None, timeout=1.0, max_records=500)
        taken += [record for records in polled.values() for record in records]
    assert sorted((record.topic, record.offset, record.value) for record in taken if record.value) == [
        (topics.QUERIES, 0, b"3"), (topics.QUERIES, 2, b"4"), *((topics.USAGE, at, b"%d" % at) for at in range(3))]
    dead = next(record for record in taken if record.value is None)
    assert [key for key, _ in _record(faust_driver.Consumer._to_message(
        cast(Any, SimpleNamespace(app=SimpleNamespace(consumer_generation_id=1))), QUERIES, dead)).headers] == [
        H.UNREADABLE]


async def test_processor_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = build_app(KafkaSettings(), "i", str(tmp_path), Handlers(
        count=cast(Any, None), answer=cast(Any, None), begin=cast(Any, None), failed=lambda _: None))
    assert cast(Any, app.transport).Consumer is CarefulConsumer
    # a whole thread has a loop of its own
    monkeypatch.setattr(CarefulThread, "__init__", lambda _self, _consumer, **_: None)
    made = CarefulConsumer._new_consumer_thread(cast(Any, SimpleNamespace(loop=None, beacon=None)))
    assert type(made) is CarefulThread
