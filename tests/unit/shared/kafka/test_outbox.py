"""A topic that is written to for the first time while no broker answers; what a broker never takes."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError

from shared.kafka import outbox as module
from shared.kafka.faults import KafkaUnavailable, RecordTooLarge, SendFailed
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.settings.kafka import KafkaSettings


class Producer:
    """Knows one topic from the time on at which `up` says that its broker answers, and says what the client does."""

    def __init__(self, up: Callable[[], bool]) -> None:
        self.up, self.sent = up, list[tuple[str, int]]()
        self.client = self.cluster = self
        self._topics = set[str]()

    async def partitions_for(self, topic: str) -> set[int]:
        found = self.partitions_for_topic(topic)
        if found is None:
            raise UnknownTopicOrPartitionError
        return found

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {0} if self.up() and topic == topics.USAGE else None

    available_partitions_for_topic = partitions_for_topic

    async def force_metadata_update(self) -> bool:
        return self.up()

    def create_batch(self) -> Any:
        return self

    def append(self, **_: Any) -> bool:
        return True

    def close(self) -> None:
        """Of a batch."""

    async def send_batch(self, _: Any, topic: str, *, partition: int) -> Any:
        self.sent.append((topic, partition))
        return asyncio.sleep(0)


def outbox(producer: Producer) -> Outbox:
    made = Outbox(KafkaSettings(send_timeout_ms=2_000))
    made._producer = cast(Any, producer)
    return made


async def test_records_for_it_wait_for_the_broker_as_all_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REST_S", 0.01)
    looks = iter([False] * 6)
    producer = Producer(lambda: next(looks, True))
    await outbox(producer).send(topics.USAGE, b"x", [])
    assert producer.sent == [(topics.USAGE, 0)]


async def test_broker_that_is_away_is_not_taken_for_one_without_the_topic() -> None:
    with pytest.raises(KafkaUnavailable, match=r"topic weir\.usage: the broker does not answer"):
        await outbox(Producer(lambda: False)).partitions(topics.USAGE)


async def test_topic_that_the_broker_does_not_have_is_told_at_once_with_who_makes_it() -> None:
    with pytest.raises(SendFailed, match=r"weir\.audit; .*`python -m shared\.kafka\.topics` make it"):
        await outbox(Producer(lambda: True)).send(topics.AUDIT, b"x", [])


@pytest.mark.parametrize("records", [1, 2])
async def test_record_that_was_alone_and_is_larger_than_the_broker_takes_is_told_from_a_batch_that_is(
        records: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise MessageSizeTooLargeError
    producer = Producer(lambda: True)
    monkeypatch.setattr(producer, "send_batch", refuse)
    sender = outbox(producer)
    monkeypatch.setattr(sender, "_begin_anew", lambda _: None)
    sent = [sender.send(topics.USAGE, b"x", []) for _ in range(records)]
    with pytest.raises(SendFailed, match=r"raise max\.message\.bytes") as refused:
        await sent[0]
    assert isinstance(refused.value, RecordTooLarge) is (records == 1)
