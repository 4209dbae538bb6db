"""A topic that is written to for the first time while no broker answers; what a broker never takes."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiokafka.errors import MessageSizeTooLargeError, OutOfOrderSequenceNumber, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from shared.kafka import connect
from shared.kafka import writer as module
from shared.kafka.faults import KafkaUnavailable, RecordTooLarge, SendFailed
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.settings.kafka import KafkaSettings
from shared.telemetry import logs
from shared.telemetry.metrics import Metrics
from tests.support.lines import lines_of


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


def outbox(producer: Producer, metrics: Metrics | None = None) -> Outbox:
    made = Outbox(KafkaSettings(send_timeout_ms=2_000), metrics)
    made._writer._producer = cast(Any, producer)
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


class Strange:
    """A broker that has no topic but ours."""

    async def partitions(self, _: Any, topic: str) -> list[int]:
        raise UnknownTopicOrPartitionError(topic)


async def test_topic_that_a_caller_has_named_and_that_is_not_there_is_no_failure_of_our_own_sends() -> None:
    metrics = Metrics()
    made = outbox(Producer(lambda: True), metrics)
    made._writer._strangers = cast(Any, Strange())
    for topic in ("replies.somebody", topics.AUDIT, "replies.somebody"):
        with pytest.raises(SendFailed):
            await made.send(topic, b"x", [])
    assert [metrics.registry.get_sample_value("weir_kafka_errors_total", {"what": what})
            for what in ("send", "elsewhere")] == [1, 2]


async def test_what_is_told_of_a_batch_is_about_nobodys_request() -> None:
    async def work() -> None:
        logs.about_request("r", "t")
        with pytest.raises(SendFailed):
            await outbox(Producer(lambda: True)).send(topics.AUDIT, b"x", [])

    with lines_of("shared.kafka.outbox") as told:
        await asyncio.ensure_future(work())
    assert [(line["action"], "request_id" in line) for line in told] == [("send-stalled", False)]


class Narrow(Producer):
    """A client of a broker that takes batches of so many bytes; once it was refused one it is of no more use."""

    def __init__(self, most: int, written: list[bytes]) -> None:
        super().__init__(lambda: True)
        self.most, self.written, self.spoiled = most, written, False

    def create_batch(self) -> Any:
        return BatchBuilder(1_000_000, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
        if self.spoiled:
            raise OutOfOrderSequenceNumber
        found = list(DefaultRecordBatch(bytes(batch._build())))
        self.spoiled = batch.size() > self.most
        if self.spoiled:
            raise MessageSizeTooLargeError
        self.sent.append((topic, len(found)))
        self.written += [one.value for one in found]
        return asyncio.sleep(0)

    async def stop(self) -> None:
        """Its work is done."""


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> tuple[Outbox, list[bytes], list[Narrow]]:
    """An outbox on a broker that takes batches of a thousand bytes, what is written there, and its clients."""
    written, made = list[bytes](), list[Narrow]()

    async def producer(_: KafkaSettings) -> Narrow:
        await asyncio.sleep(0.01)
        made.append(Narrow(1_000, written))
        return made[-1]
    monkeypatch.setattr(connect, "producer", producer)
    monkeypatch.setattr(module, "_REST_S", 0.01)
    monkeypatch.setattr(module, "_PAUSE_S", 0.001)
    return outbox(Narrow(1_000, written)), written, made


async def test_record_that_was_alone_and_is_larger_than_the_broker_takes_is_told_so(
        narrow: tuple[Outbox, list[bytes], list[Narrow]]) -> None:
    with pytest.raises(RecordTooLarge, match=r"raise max\.message\.bytes"):
        await narrow[0].send(topics.USAGE, b"x" * 2_000, [])


async def test_batch_that_is_larger_than_the_broker_takes_goes_in_smaller_ones_and_so_do_those_after_it(
        narrow: tuple[Outbox, list[bytes], list[Narrow]]) -> None:
    sender, written, made = narrow
    values = [b"%d" % number * 100 for number in range(10, 40)]
    await asyncio.gather(*(sender.send(topics.USAGE, value, []) for value in values))
    assert written == values
    clients = len(made)
    await asyncio.gather(*(sender.send(topics.USAGE, value, []) for value in values))
    assert (written, len(made)) == (values * 2, clients), "nothing is refused again"


async def test_record_that_is_too_large_for_the_broker_keeps_back_none_that_went_with_it(
        narrow: tuple[Outbox, list[bytes], list[Narrow]]) -> None:
    sender, written, _ = narrow
    values = [b"a", b"b" * 1_000, b"c", b"d" * 2_000, b"e" * 950, b"f"]
    sent = [sender.send(topics.USAGE, value, []) for value in values]
    with pytest.raises(RecordTooLarge, match=r"publishing 3 of 6 records .*; the others are published.*raise max"):
        await sent[0]
    assert written == [b"a", b"c", b"f"]


async def test_what_is_published_instead_of_a_record_that_is_too_large_ends_its_batch(
        narrow: tuple[Outbox, list[bytes], list[Narrow]]) -> None:
    sender, written, _ = narrow

    def instead(value: bytes) -> Callable[[], list[asyncio.Future[None]]]:
        return lambda: [sender.send(topics.USAGE, value[:1].upper(), [])]
    values = [b"a", b"b" * 1_000, b"c", b"d" * 2_000, b"e" * 950, b"f"]
    sent = [sender.send(topics.USAGE, value, [], instead=instead(value)) for value in values]
    await sent[0]
    assert written == [b"a", b"c", b"f", b"B", b"D", b"E"]
    await sender.send(topics.USAGE, b"g" * 2_000, [], instead=instead(b"g"))
    assert written[6:] == [b"G"]


async def test_batch_fails_if_one_of_its_records_that_are_too_large_has_nothing_in_its_place(
        narrow: tuple[Outbox, list[bytes], list[Narrow]]) -> None:
    sender, written, _ = narrow
    called: list[bytes] = []
    sender.send(topics.USAGE, b"a" * 1_000, [], instead=lambda: called.append(b"a") or [])
    with pytest.raises(RecordTooLarge, match="2 of 2 records"):
        await sender.send(topics.USAGE, b"b" * 1_000, [])
    assert (written, called) == ([], [])


async def test_batches_behind_one_that_the_broker_refuses_wait_for_a_client_from_which_it_takes_them(
        narrow: tuple[Outbox, list[bytes], list[Narrow]]) -> None:
    sender, written, _ = narrow
    refused = sender.send(topics.USAGE, b"x" * 2_000, [])
    await asyncio.sleep(0)
    sent = sender.send(topics.USAGE, b"y", [])
    with pytest.raises(RecordTooLarge):
        await refused
    await sent
    assert written == [b"y"]


@pytest.mark.parametrize("unforeseen", [ValueError("a defect of the client"), asyncio.CancelledError()])
async def test_delivery_that_ends_in_a_way_that_nobody_foresaw_fails_what_waits_for_it(
    unforeseen: BaseException, monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def send_batch(*_: Any, partition: int) -> Any:
        raise unforeseen

    producer = Producer(lambda: True)
    sender = outbox(producer)
    with monkeypatch.context() as patched:
        patched.setattr(producer, "send_batch", send_batch)
        with pytest.raises(SendFailed, match=r"publishing 1 records to weir\.usage: (ValueError|CancelledError)"):
            await asyncio.wait_for(sender.send(topics.USAGE, b"x", []), 1)
    await asyncio.wait_for(sender.send(topics.USAGE, b"y", []), 1)
    assert producer.sent == [(topics.USAGE, 0)]
