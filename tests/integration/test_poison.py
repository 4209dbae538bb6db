"""Records made to break their readers: each becomes a dead letter or an answer, and no process goes down."""

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.client.client import WeirClient
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.reply_address import ReplyAddress
from shared.kafka.topics import ensure_topics
from shared.names import headers as H
from shared.names import topics
from shared.names.topics import Topic
from shared.settings.kafka import KafkaSettings
from tests.support.platform import PROJECT, Platform

Headers = list[tuple[str, bytes]]


@pytest.fixture
async def wild(platform: Platform) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that sends whatever the broker takes."""
    producer = AIOKafkaProducer(bootstrap_servers=platform.bootstrap, max_request_size=2_000_000)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def letters(platform: Platform) -> AsyncIterator[AIOKafkaConsumer]:
    """Reads the dead letters from now on."""
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.bootstrap, group_id=None)
    await consumer.start()
    partition = TopicPartition(topics.DEAD_LETTERS, 0)
    consumer.assign([partition])
    await consumer.seek_to_end(partition)
    await consumer.position(partition)
    yield consumer
    await consumer.stop()


@pytest.fixture
async def still_well(platform: Platform, kafka: KafkaSettings, name: str) -> AsyncIterator[None]:
    """After the test: the same processes run, and a call on every partition's heels is answered."""
    replies = f"replies.{name}"
    await ensure_topics(platform.kafka, [Topic(name=replies, value="", writers=(), readers=(), partitions=1)])
    before = {key: process.pid for key, process in platform.processes().items()}
    yield
    async with WeirClient(kafka, reply_topic=replies, token_digest=platform.demo_digest) as weir:
        for _ in range(8):
            reply = await weir.call(PROJECT, "get-employee", params={"id": "e-100"}, timeout_ms=15_000)
            assert reply.status == 200
    assert {key: process.pid for key, process in platform.processes().items()} == before


def call_of(platform: Platform, *more: tuple[str, bytes]) -> Headers:
    return [(H.PROJECT, PROJECT.encode()), (H.METHOD, b"GET"), (H.PATH, b"/employees/e-100"),
            (H.TOKEN_DIGEST, platform.demo_digest.encode()), *more]


async def letter_about(letters: AIOKafkaConsumer, topic: str, partition: int, offset: int) -> tuple[bytes, Headers]:
    """The dead letter of a place."""
    place = {H.DEAD_TOPIC: topic.encode(), H.DEAD_PARTITION: b"%d" % partition, H.DEAD_OFFSET: b"%d" % offset}
    async with asyncio.timeout(15):
        async for record in letters:
            if place.items() <= dict(record.headers).items():
                return record.value, list(record.headers)
    raise AssertionError("no dead letter")


@pytest.mark.usefixtures("still_well")
@pytest.mark.parametrize(("value", "headers"), [
    (b"\x00" * 1_030_000, []),
    (b"x", [(H.PROJECT, b"p"), (H.OPERATION, b"o"), (H.REPLY_TOPIC, b"t" * 600_000), (H.CORRELATION_ID, b"1")]),
    (b"x", [(H.PROJECT, b"p" * 1_000_000)]),
], ids=["large value", "large reply topic", "large header"])
async def test_unreadable_record_near_the_brokers_limit_becomes_a_dead_letter(
        wild: AIOKafkaProducer, letters: AIOKafkaConsumer, value: bytes, headers: Headers) -> None:
    sent = await wild.send_and_wait(topics.REQUESTS_INTERNAL, value, headers=headers, partition=0)
    _, found = await letter_about(letters, sent.topic, sent.partition, sent.offset)
    assert dict(found)[H.DEAD_ERROR]


@pytest.mark.usefixtures("still_well")
@pytest.mark.parametrize("headers", [
    [(H.REQUEST_ID, b"i" * 1_000_000)],
    [(H.PROJECT, b"p" * 500_000), (H.REPLY_TOPIC, b"weir.replies"), (H.CORRELATION_ID, b"1")],
    [(H.OPERATION, b"o" * 600_000), (H.REPLY_TOPIC, b"weir.replies"), (H.CORRELATION_ID, b"1")],
    [(H.PATH, b"/employees?department=" + b"d" * 400_000), (H.CONTENT_TYPE, b"c" * 400_000)],
    [(H.PATH, b"/employees?x=" + b"d" * 400_000), (H.TRACESTATE, b"c" * 600_000)],
    [(H.IDEMPOTENCY_KEY, b"k" * 1_000_000)],
    [(H.REPLY_TOPIC, b"weir.replies"), (H.CORRELATION_ID, b"1"), (H.REPLY_PARTITION, b"999")],
    [(H.REPLY_TOPIC, b"weir.replies"), (H.CORRELATION_ID, b"1"), (H.REPLY_PARTITION, b"2147483647"),
     (H.PATH, b"/nowhere")],
    [(H.REPLY_TOPIC, "replies.ü /\0".encode()), (H.CORRELATION_ID, b"1")],
    [(H.REPLY_TOPIC, b"replies." + b"x" * 2_000), (H.CORRELATION_ID, b"1")],
    [(H.DEADLINE, b"9" * 18)],
    [(H.PARAMS, b"[" * 50_000)],
    [(H.PARAMS, b'{"a":' * 900 + b"1" + b"}" * 900)],
], ids=["request id", "project echoed", "operation echoed", "path copied into the trigger", "forwarded headers",
        "idempotency key", "partition that is not there", "refused to a partition that is not there",
        "topic that cannot be", "topic too long", "deadline without end", "nested parameters",
        "deep parameters"])
async def test_readable_record_with_hostile_headers_stops_no_service(
        platform: Platform, wild: AIOKafkaProducer, headers: Headers) -> None:
    merged = {**dict(call_of(platform)), **dict(headers)}
    await wild.send_and_wait(topics.REQUESTS_INTERNAL, b"", headers=list(merged.items()), partition=0)
    await asyncio.sleep(0.5)


@pytest.mark.usefixtures("still_well")
@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat writes header names that no Python client can")
@pytest.mark.parametrize("topic", [topics.REQUESTS_INTERNAL, topics.EXECUTIONS])
async def test_header_name_that_is_not_utf8_stops_no_service(
        platform: Platform, wild: AIOKafkaProducer, letters: AIOKafkaConsumer, topic: str) -> None:
    before = await wild.send_and_wait(topic, b"before", partition=1)
    kcat = await asyncio.create_subprocess_exec(
        "kcat", "-b", platform.bootstrap, "-P", "-t", topic, "-p", "1", "-H", b"\xff\xfe=x",
        stdin=asyncio.subprocess.PIPE)
    await kcat.communicate(b"body\n")
    after = await wild.send_and_wait(topic, b"after", partition=1)
    for offset in range(before.offset, after.offset + 1):
        await letter_about(letters, topic, 1, offset)


@pytest.mark.usefixtures("still_well")
@pytest.mark.parametrize("headers", [
    [], [(H.REQUEST_ID, b"\xff")], [(H.REQUEST_ID, b"r"), (H.PROJECT, b"p"), (H.OPERATION, b"o")],
    [(H.REQUEST_ID, b"r"), (H.PROJECT, b"p"), (H.OPERATION, b"o"), (H.SOURCE, b"edge"), (H.ORIGIN, b"a/b/c")],
    [("Cookie", b"very-secret")]],
    ids=["no headers", "not UTF-8", "no source", "no place", "secret"])
async def test_garbage_on_executions_becomes_a_dead_letter_with_its_bytes(
        wild: AIOKafkaProducer, letters: AIOKafkaConsumer, headers: Headers) -> None:
    sent = await wild.send_and_wait(topics.EXECUTIONS, b"\x00\xff", headers=headers)
    value, found = await letter_about(letters, sent.topic, sent.partition, sent.offset)
    assert value == b"\x00\xff"
    assert dict(found)[H.DEAD_SERVICE] == b"executor"
    kept = [(key, b"[removed]" if key == "Cookie" else raw) for key, raw in headers]
    assert found[:len(headers)] == kept


@pytest.mark.usefixtures("still_well")
@pytest.mark.parametrize("change", [
    {"version": 10**9}, {"operation": "none"}, {"project": "none"}, {"deadline_ms": 10**17},
    {"trigger": {"path": 1}}, {"timing": {"policy": "x"}}, {"content_type": "x" * 200_000, "body": b"\xff"},
    {"body": b"{"}, {"traceparent": "x"},
    {"reply_to": ReplyAddress(correlation_id=b"1", topic="weir.replies", partition=999)}],
    ids=lambda change: next(iter(change)))
async def test_execution_that_policy_would_not_write_stops_no_executor(
        wild: AIOKafkaProducer, change: dict[str, object]) -> None:
    fields: dict[str, object] = {
        "request_id": "r", "project": PROJECT, "version": 1, "operation": "get-employee", "client": "c",
        "source": "internal", "origin": Origin("t", 0, 0), "deadline_ms": 10**15,
        "trigger": {"path": {"id": "e-100"}, "query": {}, "headers": {}}, **change}
    record = ExecutionRecord(**fields)  # type: ignore[arg-type]  # wrong on purpose
    await wild.send_and_wait(topics.EXECUTIONS, record.body, headers=record.to_headers())
    await asyncio.sleep(0.3)


@pytest.mark.usefixtures("still_well")
async def test_request_that_fits_the_broker_and_whose_execution_would_not_is_answered(
        platform: Platform, wild: AIOKafkaProducer, name: str) -> None:
    replies = TopicPartition(f"replies.{name}", 0)
    headers = call_of(platform, (H.CORRELATION_ID, b"1"), (H.REPLY_TOPIC, replies.topic.encode()))
    used = sum(len(key) + len(value) + 4 for key, value in headers)
    await wild.send_and_wait(topics.REQUESTS_INTERNAL, b"x" * 900_000, partition=2, headers=[
        *headers, (H.TRACESTATE, b"t" * (1_048_588 - 900_000 - 120 - used))])
    reader = AIOKafkaConsumer(bootstrap_servers=platform.bootstrap, auto_offset_reset="earliest")
    await reader.start()
    reader.assign([replies])
    answer = await asyncio.wait_for(reader.getone(), 10)
    await reader.stop()
    assert dict(answer.headers)[H.STATUS] == b"413"
