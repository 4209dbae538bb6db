"""Operations with events, over HTTP and over Kafka."""

import asyncio
import os
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from shared.client.client import WeirClient
from shared.kafka.topics import ensure_topics
from shared.names.topics import Topic
from shared.settings.kafka import KafkaSettings
from tests.support.platform import Platform, eventually

OPERATIONS = """operations:
  - { name: count, method: POST, path: /count, workflow: count, mode: events, public: true }
  - { name: slow, method: GET, path: /slow, workflow: slow, mode: events, public: true, timeout: 20s }
  - { name: short, method: GET, path: /short, workflow: slower, mode: events, public: true, timeout: 1s }
"""
COUNT = """steps:
  - id: most
    if: trigger.body.to > 100
    reply: { name: invalid_input, body: { message: too far } }
  - id: each
    loop:
      over: "{% [1..trigger.body.to] %}"
      steps:
        - id: bad
          if: loop.item = trigger.body.fail_at
          fail: { message: enough, status: 409 }
        - id: say
          emit: { event: number, data: { n: "{% loop.item %}" } }
  - id: text
    emit: { data: "two\\nlines" }
  - id: answer
    if: trigger.body.reply
    reply: { body: { total: "{% trigger.body.to %}" } }
"""
SLOW = """steps:
  - { id: pause, delay: { for: 1600ms } }
  - { id: say, emit: { data: done } }
  - { id: again, delay: { for: 10s } }
"""

# each delay would end in time, all of them do not
SLOWER = """steps:
  - id: passes
    loop: { over: "{% [1..50] %}", steps: [{ id: pause, delay: { for: 30ms } }] }
"""


@pytest.fixture
async def url(platform: Platform, http: ClientSession) -> str:
    name = f"events-{os.urandom(4).hex()}"
    platform.admin("POST", f"/projects/{name}/versions", {"files": {
        "weir.yaml": f"name: {name}\n", "operations.yaml": OPERATIONS,
        "workflows/count.yaml": COUNT, "workflows/slow.yaml": SLOW, "workflows/slower.yaml": SLOWER}})
    await platform.configured(http)
    return f"{platform.ingress}/{name}"


async def heard(http: ClientSession, url: str, body: Any, **headers: str) -> tuple[int, Any, str]:
    async with http.post(url, json=body, headers=headers) as answer:
        return answer.status, answer.headers, await answer.text()


def events(text: str) -> list[tuple[str, str, Any]]:
    """Name, id without the execution, data."""
    found = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        lines = [line.partition(": ")[::2] for line in block.split("\n") if not line.startswith(":")]
        if lines:
            data = "\n".join(value for key, value in lines if key == "data")
            named = dict(lines)
            found.append((named["event"], named["id"].partition("/")[2], data))
    return found


async def test_events_come_in_order_and_the_last_one_is_the_answer(http: ClientSession, url: str) -> None:
    status, headers, text = await heard(http, f"{url}/count", {"to": 2, "reply": True})
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "text/event-stream", "no-store")
    assert "X-Request-Id" in headers
    assert events(text) == [("number", "0", '{"n":1}'), ("number", "1", '{"n":2}'), ("message", "2", "two\nlines"),
                            ("end", "3", '{"total":2}')]
    assert (await heard(http, f"{url}/count", {"to": 1}))[2].endswith('data: {}\n\n')


async def test_what_goes_wrong_before_the_first_event_is_an_ordinary_answer(http: ClientSession, url: str) -> None:
    status, headers, text = await heard(http, f"{url}/count", {"to": 101})
    assert (status, headers["Content-Type"], orjson.loads(text)) == (400, "application/json", {"message": "too far"})
    async with http.post(f"{url}/count", data=b"{", headers={"Content-Type": "application/json"}) as answer:
        assert (answer.status, orjson.loads(await answer.read())["code"]) == (400, "input-invalid")
    status, headers, text = await heard(http, f"{url}/count", {"to": 3, "fail_at": 1})
    assert (status, headers["Content-Type"]) == (409, "application/problem+json")


async def test_failure_after_an_event_is_the_last_event(http: ClientSession, url: str) -> None:
    status, _, text = await heard(http, f"{url}/count", {"to": 3, "fail_at": 2})
    found = events(text)
    assert (status, [name for name, _, _ in found]) == (200, ["number", "error"])
    problem = orjson.loads(found[-1][2])
    assert (problem["status"], problem["code"], problem["step"]) == (409, "workflow-failed", "bad")


async def test_stream_cannot_be_resumed_and_says_so(http: ClientSession, url: str) -> None:
    status, _, text = await heard(http, f"{url}/count", {"to": 2}, **{"Last-Event-ID": "x/1"})
    assert (status, orjson.loads(text)["code"]) == (409, "conflict")


async def test_same_key_gets_the_same_events_again(http: ClientSession, url: str) -> None:
    key = {"Idempotency-Key": os.urandom(8).hex()}
    first = await heard(http, f"{url}/count", {"to": 2}, **key)
    again = await heard(http, f"{url}/count", {"to": 2}, **key)
    assert (again[0], again[2], again[1]["Content-Type"]) == (200, first[2], "text/event-stream")
    assert again[1]["Idempotency-Replayed"] == "true"


async def test_silence_is_broken_by_comments_and_the_end_of_time_is_an_event(http: ClientSession, url: str) -> None:
    async with http.get(f"{url}/short") as answer:
        text = await answer.text()
    assert answer.status == 200
    assert text.startswith(":\n\n")
    assert [name for name, _, _ in events(text)] == ["error"]
    assert '"code":"timeout"' in text


async def test_execution_ends_when_its_caller_has_gone(platform: Platform, http: ClientSession, url: str) -> None:
    project = url.rpartition("/")[2]
    async with http.get(f"{url}/slow") as answer:
        async for line in answer.content:
            if line.startswith(b"data: done"):
                break
        answer.close()

    def counted() -> Any:
        rows = platform.admin("GET", f"/projects/{project}/usage?by=operation,status")["rows"]
        return ("slow", 499, 4) in [(row["operation"], row["status"], row["tasks"]) for row in rows]
    # the workflow would go on for ten seconds more
    await eventually(lambda: asyncio.to_thread(counted), within_s=6)


async def test_internal_service_hears_events_as_parts_on_its_reply_topic(platform: Platform, url: str) -> None:
    topic = f"replies.events-{os.urandom(4).hex()}"
    await ensure_topics(platform.kafka, [Topic(name=topic, value="", writers=(), readers=(), partitions=2)])
    async with WeirClient(KafkaSettings(bootstrap=platform.bootstrap), reply_topic=topic) as weir:
        found = [part async for part in weir.events(url.rpartition("/")[2], "count", body={"to": 2, "reply": True})]
        assert [(part.sequence, part.event, part.last) for part in found] == [
            (0, "number", False), (1, "number", False), (2, "message", False), (3, "end", True)]
        assert [part.content_type for part in found] == ["application/json"] * 2 + ["text/plain", "application/json"]
        refused = [part async for part in weir.events(url.rpartition("/")[2], "nothing")]
        assert [(part.status, part.sequence) for part in refused] == [(404, None)]
