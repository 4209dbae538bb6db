"""Requests that were not sampled: each that failed, timed out or was slow has a whole trace; no other has one."""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from shared.client.client import WeirClient
from shared.kafka.topics import ensure_topics
from shared.names import spans
from shared.names.topics import Topic
from shared.settings.kafka import KafkaSettings
from tests.e2e.test_traces import check
from tests.support.platform import Platform, eventually
from tests.support.traces import Read, Spans

REQUESTS, AT_ONCE, SLOW_MS, TIMEOUT_MS = 1_000, 25, 400, 2_500
# how the outside system behaves, and how many of the requests meet that
FAULTS = {"broken": 30, "cut": 20, "hang": 15, "slow": 25, "lie": 20, "impatient": 10}
OPERATIONS = f"""operations:
  - {{ name: look, method: POST, path: /look, workflow: look, public: true, timeout: {TIMEOUT_MS}ms }}
  - {{ name: long, method: POST, path: /long, workflow: look, public: true, timeout: 300ms, run_timeout: 5s }}
  - {{ name: later, method: POST, path: /later, workflow: look, public: true, mode: validate }}
  - {{ name: stream, method: POST, path: /stream, workflow: stream, public: true, mode: events }}
"""
LOOK = """steps:
  - { id: before, transform: { value: 1 } }
  - { id: ask, http: { url: "BASE/{% trigger.body.how %}", timeout: 10s, parse: json } }
  - { id: answer, reply: { body: 1 } }
"""
STREAM = """steps:
  - { id: say, emit: { data: hi } }
  - { id: ask, http: { url: "BASE/broken" } }
"""
WHOLE = ("send weir.requests.edge", "process weir.requests.edge", "send weir.executions", "process weir.executions",
         "workflow look", "step before", "step ask", "send weir.replies", "process weir.replies")


@dataclass
class Ended:
    """What a caller got, by what the outside system did."""

    by_fault: dict[str, list[str]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
async def outside() -> AsyncIterator[TestServer]:
    """An outside system that fails in every way when it is asked to."""
    async def answer(request: web.Request) -> web.Response:
        how = request.match_info["how"]
        if how == "broken":
            return web.Response(status=500)
        if how == "cut":
            assert request.transport is not None
            request.transport.abort()
        if how == "lie":
            return web.Response(body=b"{", content_type="application/json")
        await asyncio.sleep({"hang": 6.0, "slow": SLOW_MS * 1.25 / 1000, "impatient": 0.6}.get(how, 0))
        return web.json_response({})
    application = web.Application()
    application.router.add_get("/{how}", answer)
    server = TestServer(application)
    await server.start_server()
    yield server
    await server.close()


@pytest.fixture(scope="module")
async def project(platform: Platform, http: ClientSession, outside: TestServer) -> str:
    """No call of it is sampled."""
    name, base = f"t{os.urandom(4).hex()}", str(outside.make_url("")).rstrip("/")
    files = {"weir.yaml": f"name: {name}\ntracing: {{ ratio: 0, slow: {SLOW_MS}ms }}\n", "operations.yaml": OPERATIONS,
             "workflows/look.yaml": LOOK.replace("BASE", base), "workflows/stream.yaml": STREAM.replace("BASE", base)}
    await asyncio.to_thread(platform.admin, "POST", f"/projects/{name}/versions", {"files": files})
    await platform.configured(http)
    return name


async def drive(http: ClientSession, url: str) -> tuple[Ended, dict[str, float]]:
    """All requests, so many at once, in an order of chance; how long each took."""
    wanted = [fault for fault, count in FAULTS.items() for _ in range(count)]
    wanted += ["fine"] * (REQUESTS - len(wanted))
    random.shuffle(wanted)
    ended, took, left = Ended(), dict[str, float](), iter(wanted)
    loop = asyncio.get_running_loop()

    async def lane() -> None:
        for fault in left:
            began = loop.time()
            path = "/long" if fault == "impatient" else "/look"
            async with http.post(url + path, json={"how": fault}) as answer:
                request_id = answer.headers["X-Request-Id"]
                await answer.read()
            took[request_id] = loop.time() - began
            ended.by_fault.setdefault(fault, []).append(request_id)
            ended.statuses[request_id] = answer.status
    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    return ended, took


async def test_each_faulty_one_of_a_thousand_unsampled_requests_has_a_whole_trace(
        platform: Platform, http: ClientSession, project: str) -> None:
    ended, took = await drive(http, f"{platform.ingress}/{project}")
    assert sum(map(len, ended.by_fault.values())) == REQUESTS
    for fault, status in {"broken": 502, "cut": 502, "lie": 502, "hang": 504, "impatient": 504, "slow": 200}.items():
        # a machine that is busy with something else answers 504
        assert status in {ended.statuses[one] for one in ended.by_fault[fault]} <= {status, 504}, fault
    exported = Spans(platform)
    faulty = {one for fault in FAULTS for one in ended.by_fault[fault]}
    traces: dict[str, list[Read]] = {}

    async def all_there() -> bool:
        await exported.read()
        traces.clear()
        for trace in exported.by_trace.values():
            traces.update({str(one.said[spans.REQUEST_ID]): trace for one in trace if spans.REQUEST_ID in one.said})
        return faulty <= set(traces) and all(
            any(one.name == "process weir.executions" for one in traces[each]) for each in faulty)
    await eventually(all_there, within_s=20, every_s=0.5)
    for fault, requests in ended.by_fault.items():
        for one in requests if fault != "fine" else ():
            whole(traces[one], fault, ended.statuses[one])
    # what went well has none, unless this machine was too busy for it to be quick
    told = {one for one in ended.by_fault["fine"] if one in traces}
    assert all(ended.statuses[one] >= 500 or took[one] * 1000 > SLOW_MS for one in told)
    # and control finds them
    failed = {one for one in faulty if ended.statuses[one] >= 500}
    await eventually(lambda: lists(platform, failed, "--project", project, "--errors"))
    await eventually(lambda: lists(platform, set(ended.by_fault["slow"]), "--project", project, "--slow", "--longer",
                                   f"{SLOW_MS}ms"))


async def lists(platform: Platform, wanted: set[str], *arguments: str) -> bool:
    done = await asyncio.to_thread(platform.weir, "traces", *arguments, "--limit", "1000", "--json")
    return wanted <= {row["request_id"] for row in json.loads(done.stdout)}


def whole(trace: list[Read], fault: str, status: int) -> None:
    """Every hop of it is there, and it says which one was to blame."""
    check(trace)
    names = [one.name for one in trace]
    late = all(one.said[spans.LATE] for one in trace)
    assert late, "it was not sampled"
    root = next(one for one in trace if one.raw.kind == 2)
    assert root.said["http.response.status_code"] == status
    if fault == "impatient":
        # nobody waited for its answer, and the edge was told all the same
        assert root.events == [spans.NO_REPLY]
        assert set(WHOLE[:5]) <= set(names)
        return
    assert set(WHOLE) <= set(names), (fault, names)
    if status == 502:
        assert {one.name for one in trace if one.raw.status.code == 2} == {
            root.name, "process weir.executions", "workflow look", "step ask"}
    asked = next(one for one in trace if one.name == "step ask").raw
    if fault in ("slow", "hang"):
        assert (asked.end_time_unix_nano - asked.start_time_unix_nano) / 1e6 >= SLOW_MS


async def test_work_that_failed_after_it_was_answered_has_a_trace(
        platform: Platform, http: ClientSession, project: str) -> None:
    async with http.post(f"{platform.ingress}/{project}/later", json={"how": "broken"}) as answer:
        request_id = answer.headers["X-Request-Id"]
        assert answer.status == 202
    trace = await Spans(platform).of_request(request_id, *WHOLE[:7])
    check(trace)
    assert next(one for one in trace if one.raw.kind == 2).said["http.response.status_code"] == 202


async def test_stream_that_ends_with_an_error_has_a_trace(
        platform: Platform, http: ClientSession, project: str) -> None:
    async with http.post(f"{platform.ingress}/{project}/stream", json={}) as answer:
        request_id = answer.headers["X-Request-Id"]
        assert b"upstream-failed" in await answer.read()
    trace = await Spans(platform).of_request(request_id, *WHOLE[:4], "workflow stream", "step ask")
    check(trace)


async def test_failed_call_over_the_internal_topic_has_a_trace(
        platform: Platform, kafka: KafkaSettings, project: str, name: str) -> None:
    topic = f"replies.{name}"
    await ensure_topics(platform.kafka, [Topic(name=topic, value="", writers=(), readers=(), partitions=1)])
    async with WeirClient(kafka, reply_topic=topic) as weir:
        reply = await weir.call(project, "look", body={"how": "broken"})
    assert reply.status == 502
    trace = await Spans(platform).of_request(reply.request_id, "process weir.requests.internal", *WHOLE[2:7],
                                             f"send {topic}")
    check(trace)
    assert len(trace) == 7


async def test_call_that_policy_refuses_because_of_the_platform_has_a_trace(
        platform: Platform, http: ClientSession, name: str) -> None:
    files = {"weir.yaml": f"name: {name}\ntracing: {{ ratio: 0 }}\n",
             "operations.yaml": "operations: [{ name: o, method: POST, path: /o, workflow: w, public: true, "
                                "enabled: false }]",
             "workflows/w.yaml": "steps: [{ id: answer, reply: { body: 1 } }]"}
    await asyncio.to_thread(platform.admin, "POST", f"/projects/{name}/versions", {"files": files})
    await platform.configured(http)
    async with http.post(f"{platform.ingress}/{name}/o", json={}) as answer:
        assert answer.status == 503
        request_id = answer.headers["X-Request-Id"]
    trace = await Spans(platform).of_request(request_id, *WHOLE[:2], *WHOLE[-2:])
    check(trace)
    assert len(trace) == 5, "policy has refused it: nothing ran"
