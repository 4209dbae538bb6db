"""A record that died is found with its error and its bytes, is sent again under its id, and all of it is noted."""

import asyncio
import base64
import json
import uuid
from typing import Any

import pytest
from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.kafka.topics import ensure_topics
from shared.names import headers as H
from shared.names import topics
from shared.names.topics import Topic
from tests.support.metrics import total
from tests.support.platform import PROJECT, Platform, eventually


@pytest.fixture
async def replies(platform: Platform, name: str) -> str:
    topic = f"replies.{name}"
    await ensure_topics(platform.kafka, [Topic(name=topic, value="", writers=(), readers=(), partitions=1)])
    return topic


async def publish(platform: Platform, topic: str, value: bytes, *headers: tuple[str, bytes]) -> str:
    """The place of a record, as letters name it."""
    producer = AIOKafkaProducer(bootstrap_servers=platform.bootstrap, max_request_size=2_000_000)
    await producer.start()
    sent = await producer.send_and_wait(topic, value, headers=list(headers), partition=0)
    await producer.stop()
    return f"{topic}/0/{sent.offset}"


async def letter_at(platform: Platform, place: str) -> Any:
    """The letter about a place, once control knows it."""
    return await letter_with(platform, "all", place=place)


async def letter_with(platform: Platform, state: str, **wanted: str) -> Any:
    """The newest letter of a state that has these members."""
    async def look() -> Any:
        found = await asyncio.to_thread(platform.admin, "GET", f"/dead-letters?limit=1000&state={state}")
        return next((one for one in found["letters"] if wanted.items() <= one.items()), None)
    return await eventually(look, within_s=20, every_s=0.2)


def call_of(platform: Platform, request_id: str, *more: tuple[str, bytes]) -> list[tuple[str, bytes]]:
    return [(H.REQUEST_ID, request_id.encode()), (H.PROJECT, PROJECT.encode()), (H.METHOD, b"GET"),
            (H.PATH, b"/employees/e-100"), (H.TOKEN_DIGEST, platform.demo_digest.encode()), *more]


async def answers(platform: Platform, topic: str) -> list[dict[str, bytes]]:
    """Headers of all records of a topic's first partition."""
    reader = AIOKafkaConsumer(bootstrap_servers=platform.bootstrap, auto_offset_reset="earliest")
    await reader.start()
    reader.assign([TopicPartition(topic, 0)])
    found = [dict(record.headers) for records in (await reader.getmany(timeout_ms=700)).values() for record in records]
    await reader.stop()
    return found


async def test_request_that_died_is_answered_under_its_id_when_it_is_replayed(platform: Platform, replies: str) -> None:
    """Its answer could not be sent: the topic was not there. Now it is."""
    request_id, missing = str(uuid.uuid4()), f"{replies}-late"
    place = await publish(platform, topics.REQUESTS_INTERNAL, b"", *call_of(
        platform, request_id, (H.REPLY_TOPIC, missing.encode()), (H.CORRELATION_ID, b"c-1")))

    letter = await letter_with(platform, "waiting", request_id=request_id, project=PROJECT)
    assert (letter["state"], letter["service"]) == ("waiting", "executor")
    assert missing in letter["error"]
    assert place.startswith(topics.REQUESTS_INTERNAL)
    await ensure_topics(platform.kafka, [Topic(name=missing, value="", writers=(), readers=(), partitions=1)])
    # it is looked for once a second
    await asyncio.sleep(1.1)
    told = platform.weir("dlq", "replay", str(letter["id"])).stdout
    assert f"letter {letter['id']} replayed, request id {request_id}" in told

    async def answered() -> Any:
        return [one for one in await answers(platform, missing) if one[H.REQUEST_ID] == request_id.encode()]
    answer, *_ = await eventually(answered, within_s=20)
    assert (answer[H.STATUS], answer[H.CORRELATION_ID]) == (b"200", b"c-1")


async def test_letter_shows_error_history_headers_and_bytes_and_replays_and_drops_are_noted_and_audited(
        platform: Platform, http: ClientSession) -> None:
    dead = {"service": "executor", "metric": "weir_dead_letters_total", "topic": topics.EXECUTIONS}
    before = await total(platform, http, **dead)
    request_id, value = str(uuid.uuid4()), b'{"name": "\x00\xff"}'
    place = await publish(platform, topics.EXECUTIONS, value, (H.REQUEST_ID, request_id.encode()),
                          ("Cookie", b"very-secret"), ("x-other", b"kept"))
    letter = await letter_at(platform, place)
    number = str(letter["id"])
    assert await total(platform, http, **dead) == before + 1
    waiting = await total(platform, http, "control", "weir_dead_letters_waiting")
    assert waiting >= 1
    shown = platform.weir("dlq", "show", number).stdout
    assert "died in executor" in shown
    assert "x-other: kept" in shown
    assert "very-secret" not in shown
    assert "00 ff" in shown
    assert base64.b64decode(platform.admin("GET", f"/dead-letters/{number}")["value"]) == value
    platform.weir("dlq", "replay", number)

    second = await letter_with(platform, "waiting", request_id=request_id)
    assert second["id"] > letter["id"]
    history = platform.admin("GET", f"/dead-letters/{second['id']}")["history"]
    assert [(event["what"], event["letter"]) for event in history] == [
        ("died in executor", letter["id"]), ("replayed", letter["id"]), ("died in executor", second["id"])]
    refused = platform.weir("dlq", "replay", number, check=False)
    assert (refused.returncode, "was replayed before" in refused.stderr) == (1, True)
    platform.weir("dlq", "drop", str(second["id"]))
    # the first one is replayed, the second dropped
    await eventually(lambda: is_total(platform, http, waiting - 1))
    assert (await letter_at(platform, second["place"]))["state"] == "dropped"
    audit = await audited(platform)
    assert ("dead letter replayed", letter["id"]) in audit
    assert ("dead letter dropped", second["id"]) in audit


async def is_total(platform: Platform, http: ClientSession, waiting: float) -> bool:
    return await total(platform, http, "control", "weir_dead_letters_waiting") == waiting


async def audited(platform: Platform) -> list[tuple[str, Any]]:
    reader = AIOKafkaConsumer(bootstrap_servers=platform.bootstrap, auto_offset_reset="earliest")
    await reader.start()
    reader.assign([TopicPartition(topics.AUDIT, 0)])
    found = [json.loads(record.value) for records in (await reader.getmany(timeout_ms=700)).values()
             for record in records]
    await reader.stop()
    return [(line["what"], line["subject"]) for line in found]


async def test_letter_without_room_for_its_record_finds_it_at_its_place(platform: Platform) -> None:
    value = b"\x00" * 1_048_300
    letter = await letter_at(platform, await publish(platform, topics.REQUESTS_INTERNAL, value))
    assert letter["cut"]
    shown = await asyncio.to_thread(platform.admin, "GET", f"/dead-letters/{letter['id']}")
    assert base64.b64decode(shown["value"]) == value


async def test_letters_are_chosen_by_what_they_are_and_nothing_goes_by_accident(platform: Platform) -> None:
    marks = [str(uuid.uuid4()) for _ in range(2)]
    for mark in marks:
        await letter_at(platform, await publish(platform, topics.USAGE, mark.encode(), (H.REQUEST_ID, mark.encode())))
    assert platform.weir("dlq", "replay", check=False).returncode == 1
    assert platform.weir("dlq", "drop", "5", "--all", check=False).returncode == 1
    done = json.loads(platform.weir("dlq", "drop", "--all", "--topic", topics.USAGE, "--json").stdout)
    assert {one["request_id"] for one in done} >= set(marks)
    assert platform.weir("dlq", "list", "--topic", topics.USAGE, "--json").stdout.strip() == "[]"
    assert "no dead letter" in platform.weir("dlq", "show", "999999", check=False).stderr
