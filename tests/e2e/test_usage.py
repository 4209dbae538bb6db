"""Usage as an API owner sees it: asked for over HTTP, on the topic, by command; checked against the topic."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.clock import SystemClock
from shared.contracts.query import MEASURES, UsageQuery
from shared.contracts.usage import Envelope, UsageEvent
from shared.kafka.outbox import Outbox
from shared.names import headers as H
from shared.names import topics
from shared.settings.kafka import KafkaSettings
from tests.e2e.test_policies import project_with
from tests.support.platform import Platform, eventually
from tests.support.usage import event

NOW = SystemClock().now_ms()


@pytest.fixture
def project(platform: Platform, name: str) -> str:
    """A project that nobody calls."""
    platform.admin("POST", f"/projects/{name}/versions", {"files": project_with(name, "")})
    return name


class Producer:
    """Publishes envelopes as a service does."""

    def __init__(self, outbox: Outbox, name: str) -> None:
        self.outbox, self.name, self.sequence = outbox, name, 0

    async def send(self, events: Sequence[UsageEvent], sequence: int | None = None) -> None:
        number = self.sequence if sequence is None else sequence
        self.sequence = number + 1
        await self.outbox.send(topics.USAGE, *Envelope(producer=self.name, sequence=number, events=events).to_record())

    async def send_raw(self, value: bytes | None, **headers: bytes) -> None:
        named = {"producer": self.name.encode(), "sequence": b"%d" % self.sequence, **headers}
        self.sequence += 1
        await self.outbox.send(topics.USAGE, value, [(f"weir-{name}", text) for name, text in named.items()])


@pytest.fixture
def producer(outbox: Outbox, name: str) -> Producer:
    """A producer of its own for each test."""
    return Producer(outbox, f"producer-{name}")


def calls(project: str, count: int, first: int = 0, **more: Any) -> list[UsageEvent]:
    return [event(number, **{"project": project, "time": NOW, "origin": f"test/{project}/{number}".replace(
        f"/{project}/", f".{project}/0/"), **more}) for number in range(first, first + count)]


def usage(platform: Platform, path: str) -> dict[str, Any]:
    found: dict[str, Any] = platform.admin("GET", path)
    return found


async def settled(platform: Platform, project: str, requests: int) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        answer = usage(platform, f"/projects/{project}/usage?by=operation")
        return answer if answer["total"]["requests"] >= requests else None
    found: dict[str, Any] = await eventually(lambda: asyncio.to_thread(look))
    return found


async def test_owner_sees_who_called_what_from_where_with_which_volume(
        platform: Platform, project: str, producer: Producer) -> None:
    await producer.send([
        *calls(project, 5, client="till", bytes_out=100), *calls(project, 2, 5, client="till", status=429, tasks=0,
                                                                  reason="rate-limited"),
        *calls(project, 3, 7, client="stock", source="internal", operation="other", status=500, reason="failed"),
        event(99, kind="delivery", project=project, client="", status=504, reason="timeout", origin=None, time=NOW)])
    await settled(platform, project, 10)
    base = f"/projects/{project}/usage"
    answer = usage(platform, f"{base}?by=client,source")
    rows = {(row["client"], row["source"]): row for row in answer["rows"]}
    till = rows["till", "edge"]
    assert {name: till[name] for name in MEASURES} == {
        "requests": 7, "tasks": 5, "bytes_in": 7, "bytes_out": 504, "errors": 0, "refused": 2, "late": 0}
    assert rows["stock", "internal"]["errors"] == 3
    assert answer["total"]["requests"] == 10
    assert answer["total"]["late"] == 1
    assert 950 <= till["p50_us"] <= 1_050
    assert [row["reason"] for row in usage(platform, f"{base}?by=reason&status=4xx")["rows"]] == ["rate-limited"]
    top = usage(platform, f"{base}?by=operation&top=1&order=errors")
    assert [(row["operation"], row["errors"]) for row in top["rows"]] == [("other", 3)]
    assert top["groups"] == 2
    hours = usage(platform, f"{base}?by=&per=hour&since={NOW - 3_600_000}")["rows"]
    assert sum(row["requests"] for row in hours) == 10
    compared = usage(platform, f"{base}?by=&compare=true&since={NOW - 60_000}")
    assert compared["before"]["requests"] == 0
    everywhere = usage(platform, f"/usage?by=project&project={project}")
    assert [(row["project"], row["requests"]) for row in everywhere["rows"]] == [(project, 10)]


async def test_usage_is_printed_as_table_csv_and_json(platform: Platform, project: str, producer: Producer) -> None:
    await producer.send(calls(project, 4, client="=cmd"))
    await settled(platform, project, 4)
    table = await asyncio.to_thread(platform.weir, "usage", project, "--by", "client", "--compare")
    assert "=cmd" in table.stdout
    text = (await asyncio.to_thread(platform.weir, "usage", project, "--by", "client", "--csv")).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["client"], row["requests"]) for row in rows] == [("'=cmd", "4")]
    listed = await asyncio.to_thread(platform.weir, "usage", project, "--json", "--where", "client==*")
    assert json.loads(listed.stdout)[0]["requests"] == 4
    live = await asyncio.to_thread(platform.weir, "usage", project, "--live", "--rounds", "2")
    assert "=cmd" in live.stdout
    refused = await asyncio.to_thread(platform.weir, "usage", project, "--by", "colour", check=False)
    assert refused.returncode == 1
    assert "colour" in refused.stderr


async def test_internal_service_asks_on_the_topic_and_hears_what_the_admin_api_says(
        platform: Platform, project: str, producer: Producer, kafka: KafkaSettings, answers: AIOKafkaConsumer,
        http: ClientSession) -> None:
    await producer.send(calls(project, 3))
    await settled(platform, project, 3)
    query = UsageQuery(project=project, since_ms=NOW - 60_000, until_ms=NOW + 60_000, by=("client",))
    for value in (query.to_json(), b'{"project": "p", "since_ms": 5, "until_ms": 1}', b"{"):
        await producer.outbox.send(topics.QUERIES, value, [
            (H.CORRELATION_ID, b"q"), (H.REPLY_TOPIC, b"weir.replies"), (H.REPLY_PARTITION, b"7")])
    found = []
    async for record in answers:
        found.append((dict(record.headers)["weir-status"], record.value))
        if len(found) == 3:
            break
    assert [status for status, _ in found] == [b"200", b"400", b"400"]
    assert json.loads(found[0][1])["rows"][0]["requests"] == 3
    path = f"/projects/{project}/usage?by=client&since={NOW - 60_000}&until={NOW + 60_000}"
    async with http.get(f"{platform.control}/v1{path}",
                        headers={"Authorization": f"Bearer {platform.admin_token}"}) as same:
        assert await same.read() == found[0][1]


@pytest.fixture
async def answers(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    """The end of a partition of the reply topic that no service owns."""
    place = TopicPartition(topics.REPLIES, 7)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap)
    await consumer.start()
    consumer.assign([place])
    await consumer.seek_to_end(place)
    await consumer.position(place)
    yield consumer
    await consumer.stop()


async def test_bad_envelopes_are_put_aside_and_counting_goes_on(
        platform: Platform, project: str, producer: Producer, kafka: KafkaSettings) -> None:
    def raw(**more: Any) -> bytes:
        made = [msgspec.structs.replace(one, **more) for one in calls(project, 1, 500)]
        value: bytes = Envelope(producer="", sequence=0, events=made).to_record()[0]
        return value
    await producer.send(calls(project, 2))
    bad = {"usage envelope is not what": b"{not json", "header weir-format is": raw(), "tasks": raw().replace(
        b'"tasks":1', b'"tasks":-1'), "WEIR_ANALYTICS_MAX_AHEAD_MS": raw(time=NOW + 10**8),
        "1040000 bytes": b"[" + b" " * 1_039_998 + b"]", "there is no project": raw(project="nowhere")}
    for says, value in bad.items():
        await producer.send_raw(value, **({"format": b"9"} if "format" in says else {}))
    await producer.send(calls(project, 3, 2))
    answer = await settled(platform, project, 5)
    assert answer["total"]["requests"] == 5
    errors = await eventually(lambda: letters_of(kafka, producer.name, len(bad)))
    for says in bad:
        assert any(says in error for error in errors), (says, errors)


async def test_envelopes_that_are_written_in_transactions_are_counted_and_so_is_what_comes_after(
        platform: Platform, project: str, name: str, kafka: KafkaSettings) -> None:
    """The end of a transaction takes an offset on the topic."""
    sender = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=name)
    await sender.start()
    try:
        for number in range(3):
            value, headers = Envelope(producer=name, sequence=number, events=calls(project, 1, number)).to_record()
            async with sender.transaction():
                await sender.send_and_wait(topics.USAGE, value, headers=headers, partition=0)
    finally:
        await sender.stop()
    await settled(platform, project, 3)


async def letters_of(kafka: KafkaSettings, producer: str, wanted: int) -> list[str] | None:
    """What the dead letters of a producer say, once there are so many."""
    place = TopicPartition(topics.DEAD_LETTERS, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap)
    await consumer.start()
    try:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        found: list[dict[str, bytes]] = []
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            polled = await consumer.getmany(place, timeout_ms=2_000)
            found += [dict(record.headers) for record in polled.get(place, [])]
    finally:
        await consumer.stop()
    errors = [headers[H.DEAD_ERROR].decode() for headers in found
              if headers.get("weir-producer") == producer.encode()
              or (H.DEAD_CUT in headers and headers[H.DEAD_TOPIC] == topics.USAGE.encode())]
    return errors if len(errors) >= wanted else None


async def test_repeated_and_missing_envelopes_are_noticed_and_counters_fit_the_topic(
        platform: Platform, project: str, producer: Producer) -> None:
    before = usage(platform, f"/projects/{project}/usage/verify")["stream"]
    await producer.send(calls(project, 4))
    await producer.send(calls(project, 4, 4), sequence=2)
    await producer.send(calls(project, 4, 4), sequence=2)
    await producer.send(calls(project, 6, 2), sequence=3)
    await settled(platform, project, 8)

    def noticed() -> dict[str, Any] | None:
        found = usage(platform, f"/projects/{project}/usage/verify")
        grown = {name: count - before[name] for name, count in found["stream"].items()}
        done = grown["missing_envelopes"] >= 1 and grown["repeated_envelopes"] >= 1 and grown["repeated_events"] >= 6
        return found if done else None
    found = await eventually(lambda: asyncio.to_thread(noticed))
    assert found["difference"] == 0, found
    assert (found["counted"]["requests"], found["recounted"]["requests"]) == (8, 8)
    printed = await asyncio.to_thread(platform.weir, "usage", "verify", project)
    assert "difference 0" in printed.stdout


async def test_counters_of_all_projects_fit_the_topic_under_load(
        platform: Platform, project: str, producer: Producer, http: ClientSession) -> None:
    async def load() -> None:
        for first in range(0, 3_000, 100):
            await producer.send(calls(project, 100, first))
    loading = asyncio.create_task(load())
    answers = [await asyncio.to_thread(usage, platform, "/usage/verify") for _ in range(3)]
    await loading
    answers.append(await asyncio.to_thread(usage, platform, "/usage/verify"))
    assert [answer["difference"] for answer in answers] == [0, 0, 0, 0], answers
    # what else the totals say may differ by what requests that ended twice say
    assert answers[-1]["counted"]["requests"] == answers[-1]["recounted"]["requests"] >= 3_000
