"""What becomes of a record that is no use, and of an answer that cannot be delivered."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.dead_letter import REMOVED, DeadLetter
from shared.contracts.origin import Origin
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import ReplyAddress
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.faults import KafkaUnavailable, NoSuchPartition, RecordTooLarge, SendFailed
from shared.names import headers as H
from shared.names import topics
from shared.telemetry import logs
from shared.telemetry.metrics import Metrics
from tests.support.fakes import FakeOutbox, FakeRecord, StoppedClock
from tests.support.lines import lines_of

REPLY = ReplyRecord(request_id="r", status=200)


def letters(outbox: FakeOutbox) -> DeadLetters:
    return DeadLetters(cast(Any, outbox), Metrics(), StoppedClock(), "policy")


def answers(outbox: FakeOutbox) -> Answers:
    return Answers(cast(Any, outbox), letters(outbox))


def address(topic: str) -> ReplyAddress:
    return ReplyAddress(correlation_id=b"1", topic=topic, partition=9)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", *H.SECRET_HEADERS, "AUTHORIZATION", "Set-Cookie"]),
                          st.none() | st.binary(min_size=12, max_size=20)), max_size=8))
def test_letter_keeps_every_header_in_order_and_no_secret(pairs: list[tuple[str, bytes | None]]) -> None:
    letter = DeadLetter(origin=Origin("t", 0, 0), service="s", error="e", time_ms=0).to_headers(pairs)
    for (name, value), (kept_name, kept) in zip(pairs, letter, strict=False):
        assert kept_name == name
        assert kept == (REMOVED if name.lower() in H.SECRET_HEADERS else value or b"")


async def test_letter_has_the_bytes_the_key_and_the_place() -> None:
    outbox = FakeOutbox()
    letters(outbox).bury(FakeRecord("t", 3, 4, key=b"k", value=b"\xff", headers=[("a", None)]), "why")
    sent, = outbox.sent
    headers = dict(sent.headers)
    assert (sent.topic, sent.value, sent.key) == (topics.DEAD_LETTERS, b"\xff", b"k")
    assert (headers[H.DEAD_TOPIC], headers[H.DEAD_PARTITION], headers[H.DEAD_OFFSET]) == (b"t", b"3", b"4")
    assert H.DEAD_CUT not in headers


@pytest.mark.parametrize("record", [
    FakeRecord(value=b"x" * 999_990), FakeRecord(headers=[("a", b"x" * 999_990)]), FakeRecord(key=b"x" * 999_990)],
    ids=["value", "header", "key"])
async def test_letter_of_a_record_without_room_names_the_place_alone(record: FakeRecord) -> None:
    outbox = FakeOutbox()
    letters(outbox).bury(record, "why" * 100_000)
    sent, = outbox.sent
    headers = dict(sent.headers)
    assert (sent.value, sent.key, headers[H.DEAD_CUT], headers[H.DEAD_TOPIC]) == (None, None, b"true", b"t")
    assert len(headers[H.DEAD_ERROR]) <= 2_000


async def test_letter_that_its_topic_does_not_take_names_the_place_alone() -> None:
    outbox = FakeOutbox()
    letters(outbox).bury(FakeRecord(value=b"x" * 1_000), "why")
    assert outbox.sent[0].instead is not None
    assert list(outbox.sent[0].instead()) == [outbox.sent[1].done]
    assert (outbox.sent[1].value, dict(outbox.sent[1].headers)[H.DEAD_CUT]) == (None, b"true")


async def test_acknowledged_answer_settles_its_record() -> None:
    outbox = FakeOutbox()
    settled, = answers(outbox).send(address("replies.x"), REPLY, FakeRecord())
    assert not settled.done()
    outbox.sent[0].done.set_result(None)
    await settled
    assert len(outbox.sent) == 1


@pytest.mark.parametrize(("topic", "error"), [
    ("replies.x", SendFailed("no such topic")), ("replies.x", KafkaUnavailable("away")),
    (topics.REPLIES, NoSuchPartition("9")), (topics.REPLIES, RecordTooLarge("the broker takes less"))])
async def test_answer_that_can_never_be_delivered_is_buried_and_the_record_is_done(
        topic: str, error: Exception) -> None:
    outbox = FakeOutbox()
    settled, = answers(outbox).send(address(topic), REPLY, FakeRecord(value=b"request"))
    outbox.sent[0].done.set_exception(error)
    await settled
    assert (outbox.sent[1].topic, outbox.sent[1].value) == (topics.DEAD_LETTERS, b"request")


async def test_lost_answers_of_one_batch_are_each_told_with_the_ids_of_their_own_request() -> None:
    outbox = FakeOutbox()
    batch = asyncio.get_running_loop().create_future()
    outbox.send = lambda *_, **__: batch  # type: ignore[method-assign]
    made = answers(outbox)

    async def work(name: str) -> asyncio.Future[None]:
        logs.about_request(name, f"trace of {name}")
        return made.send(address("replies.x"), REPLY, FakeRecord(headers=[(H.REQUEST_ID, name.encode())]))[0]

    with lines_of("shared.kafka") as told:
        settled = await asyncio.gather(*(asyncio.ensure_future(work(name)) for name in ("r0", "r1")))
        batch.set_exception(SendFailed("no"))
        await asyncio.gather(*settled)
    assert [(line["action"], line["request_id"], line.get("trace_id")) for line in told] == [
        (action, name, None) for name in ("r0", "r1") for action in ("reply-lost", "record-dead")]


@pytest.mark.parametrize("error", [KafkaUnavailable("away"), SendFailed("lost")])
async def test_lost_answer_to_the_clusters_own_topic_is_an_error_so_that_the_request_is_redelivered(
        error: Exception) -> None:
    outbox = FakeOutbox()
    settled, = answers(outbox).send(address(topics.REPLIES), REPLY, FakeRecord())
    outbox.sent[0].done.set_exception(error)
    with pytest.raises(type(error)):
        await settled
    assert len(outbox.sent) == 1


async def test_answer_too_large_for_any_batch_is_buried() -> None:
    outbox = FakeOutbox()
    large = ReplyRecord(request_id="r", status=200, body=b"x" * 1_000_000)
    answers(outbox).send(address(topics.REPLIES), large, FakeRecord(value=b"request"))
    assert [sent.topic for sent in outbox.sent] == [topics.DEAD_LETTERS]
