"""The same operation, called straight on the topic, by four kinds of client."""

import asyncio
import json
import shutil
import struct
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.client.client import WeirClient
from shared.kafka.outbox import Outbox
from shared.kafka.topics import ensure_topics
from shared.names import headers as H
from shared.names import topics
from shared.names.topics import Topic
from shared.settings.kafka import KafkaSettings
from tests.support.platform import PROJECT, Platform

NEW = {"name": "Rosa Luxe", "email": "rosa@example.com", "department": "sales"}


@pytest.fixture
async def replies(platform: Platform, name: str) -> str:
    """A reply topic of the caller's own."""
    topic = f"replies.{name}"
    await ensure_topics(platform.kafka, [Topic(name=topic, value="", writers=(), readers=(), partitions=2)])
    return topic


@pytest.fixture
async def reader(platform: Platform, replies: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Reads the caller's reply topic from its beginning."""
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(replies, 0), TopicPartition(replies, 1)])
    yield consumer
    await consumer.stop()


def call_of(platform: Platform, **headers: bytes) -> list[tuple[str, bytes]]:
    found = {H.PROJECT: PROJECT.encode(), H.METHOD: b"GET", H.PATH: b"/employees/e-100",
             H.TOKEN_DIGEST: platform.demo_digest.encode()}
    return [*found.items(), *headers.items()]


async def test_own_client_calls_an_operation_by_name(platform: Platform, kafka: KafkaSettings, replies: str) -> None:
    async with WeirClient(kafka, reply_topic=replies, token_digest=platform.demo_digest) as weir:
        found, created = await asyncio.gather(weir.call(PROJECT, "get-employee", params={"id": "e-100"}),
                                              weir.call(PROJECT, "create-employee", body=NEW))
        searched = await weir.call(PROJECT, "search-employees", params={"department": "support", "limit": 5})
        refused = await weir.call(PROJECT, "get-employee", params={"id": "nobody"})
    assert (found.status, json.loads(found.body)["name"]) == (200, "Ada Byron")
    assert created.status == 201
    assert json.loads(searched.body)["count"] == 1
    assert (refused.status, json.loads(refused.body)["code"]) == (400, "input-invalid")


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed; CI installs it")
async def test_kcat_is_a_full_client(platform: Platform, replies: str) -> None:
    address = ["-H", "weir-correlation-id=abc", "-H", f"weir-reply-topic={replies}", "-H", "weir-reply-partition=1"]
    head = ["-H", f"weir-project={PROJECT}", "-H", "weir-operation=create-employee",
            "-H", f"weir-token-digest={platform.demo_digest}"]
    sender = await asyncio.create_subprocess_exec(
        "kcat", "-b", platform.bootstrap, "-P", "-t", topics.REQUESTS_INTERNAL, *head, *address,
        stdin=asyncio.subprocess.PIPE)
    await sender.communicate(json.dumps(NEW).encode() + b"\n")
    reader = await asyncio.create_subprocess_exec(
        "kcat", "-b", platform.bootstrap, "-C", "-t", replies, "-p", "1", "-o", "beginning", "-c", "1",
        "-f", "%h\n%s\n",
        stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(reader.communicate(), 15)
    header_line, body = out.decode().splitlines()
    assert "weir-status=201" in header_line
    assert "weir-correlation-id=abc" in header_line
    assert json.loads(body)["name"] == "Rosa Luxe"


async def test_spring_headers_byte_for_byte_get_a_spring_answer(
        platform: Platform, outbox: Outbox, replies: str, reader: AIOKafkaConsumer) -> None:
    correlation = uuid.uuid4().bytes
    await outbox.send(topics.REQUESTS_INTERNAL, b"", call_of(
        platform, kafka_correlationId=correlation, kafka_replyTopic=replies.encode(),
        kafka_replyPartition=struct.pack(">i", 1)))
    answer = await asyncio.wait_for(reader.getone(), 10)
    headers = dict(answer.headers)
    assert answer.partition == 1
    assert headers["kafka_correlationId"] == correlation
    assert headers[H.STATUS] == b"200"
    assert json.loads(answer.value)["id"] == "e-100"


async def test_faststreams_own_client_gets_its_answer(platform: Platform, replies: str) -> None:
    broker = KafkaBroker(platform.bootstrap)
    answers: asyncio.Queue[tuple[str, dict[str, str], object]] = asyncio.Queue()

    @broker.subscriber(replies, auto_offset_reset="earliest", group_id=f"g-{replies}")
    async def take(body: dict[str, object], message: KafkaMessage) -> None:
        await answers.put((message.correlation_id, message.headers, body))

    async with broker:
        await broker.start()
        await broker.publish(
            NEW, topic=topics.REQUESTS_INTERNAL, reply_to=replies, correlation_id="order-7",
            headers={H.PROJECT: PROJECT, H.OPERATION: "create-employee", H.TOKEN_DIGEST: platform.demo_digest})
        correlation, headers, body = await asyncio.wait_for(answers.get(), 20)
    assert correlation == "order-7"
    assert headers[H.STATUS] == "201"
    assert isinstance(body, dict)
    assert body["name"] == "Rosa Luxe"


async def test_reply_topic_outside_the_allowed_prefixes_becomes_a_dead_letter(
        platform: Platform, outbox: Outbox, name: str) -> None:
    forbidden = f"orders.{name}"
    body = f'"{name}"'.encode()
    await outbox.send(topics.REQUESTS_INTERNAL, body, [
        *call_of(platform), (H.CORRELATION_ID, b"1"), (H.REPLY_TOPIC, forbidden.encode())])
    letter = await dead_letter(platform, body)
    assert forbidden in letter[H.DEAD_ERROR].decode()
    assert letter[H.DEAD_TOPIC] == topics.REQUESTS_INTERNAL.encode()
    assert letter[H.DEAD_SERVICE] == b"policy"


async def test_record_with_a_raw_secret_is_refused_and_the_secret_goes_nowhere(
        platform: Platform, outbox: Outbox, replies: str, reader: AIOKafkaConsumer) -> None:
    await outbox.send(topics.REQUESTS_INTERNAL, b"", [
        *call_of(platform), ("Authorization", b"Bearer very-secret"), (H.CORRELATION_ID, b"1"),
        (H.REPLY_TOPIC, replies.encode())])
    answer = await asyncio.wait_for(reader.getone(), 10)
    assert dict(answer.headers)[H.STATUS] == b"401"
    assert b"very-secret" not in answer.value


@pytest.mark.parametrize("headers", [
    [], [(H.PROJECT, b"\xff")], [(H.PROJECT, b"x")], [(H.PROJECT, b"x"), (H.OPERATION, b"y"), (H.DEADLINE, b"soon")],
    [(H.PROJECT, b"x"), (H.OPERATION, b"y"), (H.REPLY_TOPIC, b"replies.x")]],
    ids=["no headers", "not UTF-8", "no operation", "no deadline", "half an address"])
async def test_unreadable_record_becomes_a_dead_letter_with_its_bytes(
        platform: Platform, outbox: Outbox, name: str, headers: list[tuple[str, bytes]]) -> None:
    body = b"\x00\xff" + name.encode()
    await outbox.send(topics.REQUESTS_INTERNAL, body, headers)
    letter = await dead_letter(platform, body)
    assert letter[H.DEAD_ERROR]
    assert {key: letter[key] for key, _ in headers} == dict(headers)


async def test_expired_request_is_answered_and_not_run(
        platform: Platform, outbox: Outbox, replies: str, reader: AIOKafkaConsumer) -> None:
    await outbox.send(topics.REQUESTS_INTERNAL, b"", [
        *call_of(platform), (H.DEADLINE, b"1000"), (H.CORRELATION_ID, b"1"), (H.REPLY_TOPIC, replies.encode())])
    answer = await asyncio.wait_for(reader.getone(), 10)
    assert dict(answer.headers)[H.STATUS] == b"504"


async def dead_letter(platform: Platform, value: bytes) -> dict[str, bytes]:
    """The headers of the dead letter with this value."""
    consumer = AIOKafkaConsumer(topics.DEAD_LETTERS, bootstrap_servers=platform.bootstrap,
                                auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(10):
            async for record in consumer:
                if record.value == value:
                    return dict(record.headers)
    finally:
        await consumer.stop()
    raise AssertionError("no dead letter")


async def test_caller_cannot_have_more_time_than_the_operation(
        platform: Platform, outbox: Outbox, replies: str, reader: AIOKafkaConsumer) -> None:
    headers = [(key, b"/reports/yearly" if key == H.PATH else value) for key, value in call_of(platform)]
    await outbox.send(topics.REQUESTS_INTERNAL, b"", [
        *headers, (H.DEADLINE, b"9999999999999"), (H.CORRELATION_ID, b"1"), (H.REPLY_TOPIC, replies.encode())])
    answer = await asyncio.wait_for(reader.getone(), 10)
    assert dict(answer.headers)[H.STATUS] == b"504"
