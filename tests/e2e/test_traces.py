"""The trace of every kind of call: one root, no orphan, every hop, times nested, names as in the conventions."""

import asyncio
import importlib
import os
import pkgutil
import uuid
from typing import Any

import pytest
from aiohttp import ClientSession
from opentelemetry.semconv import attributes as stable
from opentelemetry.semconv._incubating import attributes as incubating

from shared.client.client import WeirClient
from shared.kafka.topics import ensure_topics
from shared.names import spans, topics
from shared.names.topics import Topic
from shared.settings.kafka import KafkaSettings
from tests.support.platform import Platform, eventually
from tests.support.traces import CLIENT, CONSUMER, PRODUCER, SERVER, Read, Spans

EDGE = ("send weir.requests.edge", "process weir.requests.edge", "policy decide")
RUN = ("send weir.executions", "process weir.executions")
BACK = ("send weir.replies", "process weir.replies")
OPERATIONS = """operations:
  - { name: plain, method: POST, path: "/plain/{id}", workflow: plain, public: true,
      input: { path: { type: object, properties: { id: { type: string } } } } }
  - { name: later, method: POST, path: /later, workflow: plain, mode: validate, public: true }
  - { name: forget, method: POST, path: /forget, workflow: plain, mode: fire_and_forget, public: true }
  - { name: stream, method: POST, path: /stream, workflow: stream, mode: events, public: true }
  - { name: calls, method: POST, path: /calls, workflow: calls, public: true }
  - { name: outside, method: POST, path: /outside, workflow: outside, public: true }
  - { name: parked, method: POST, path: /parked, workflow: parked, mode: validate, run_timeout: 1m, public: true }
  - { name: closed, method: POST, path: /closed, workflow: plain }
"""
WORKFLOWS = {
    "plain": "steps: [{ id: answer, reply: { body: 1 } }]\n",
    "stream": "steps:\n  - { id: each, loop: { over: '{% [1..3] %}', steps: [{ id: say, emit: { data: hi } }] } }\n",
    "calls": "steps:\n  - { id: wait, call: { workflow: callee } }\n"
             "  - { id: go, call: { workflow: callee, wait: false } }\n  - { id: answer, reply: { body: 1 } }\n",
    "callee": "steps: [{ id: inside, transform: { value: 1 } }]\n",
    "outside": "steps:\n  - { id: look, http: { url: '{% trigger.body.url %}' } }\n"
               "  - { id: note, publish: { topic: examples.trace, value: 1 } }\n"
               "  - { id: other, operation: { project: SELF, operation: plain, params: { id: x } } }\n"
               "  - { id: answer, reply: { body: '{% steps.other.status %}' } }\n",
    "parked": "durable: true\nsteps:\n  - { id: pause, delay: { for: 2s } }\n  - { id: answer, reply: { body: 1 } }\n"}


@pytest.fixture(scope="module")
async def project(platform: Platform, http: ClientSession) -> str:
    """Each call of it leaves a trace."""
    name = f"t{os.urandom(4).hex()}"
    files = {"weir.yaml": f"name: {name}\ntracing: {{ ratio: 1 }}\n", "operations.yaml": OPERATIONS,
             **{f"workflows/{one}.yaml": text.replace("SELF", name) for one, text in WORKFLOWS.items()}}
    await asyncio.to_thread(platform.admin, "POST", f"/projects/{name}/versions", {"files": files})
    await ensure_topics(platform.kafka, [Topic(name="examples.trace", value="", writers=(), readers=(),
                                                   partitions=1)])
    await platform.configured(http)
    return name


@pytest.fixture(scope="module")
def exported(platform: Platform) -> Spans:
    return Spans(platform)


def official() -> set[str]:
    """Every attribute that the conventions know."""
    names: set[str] = set()
    for package in (stable, incubating):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            found = vars(importlib.import_module(module.name))
            names |= {value for key, value in found.items() if key.isupper() and isinstance(value, str)}
    return names


OFFICIAL = official()


def check(trace: list[Read]) -> None:
    """What holds of every trace."""
    by_id = {one.raw.span_id: one for one in trace}
    assert len(by_id) == len(trace)
    roots = [one for one in trace if not one.raw.parent_span_id]
    assert [one.name for one in roots] == [trace_root(trace)]
    for one in trace:
        assert one.raw.start_time_unix_nano <= one.raw.end_time_unix_nano
        assert all(name.startswith("weir.") or name in OFFICIAL for name in one.said), one.said
        if one.raw.parent_span_id:
            parent = by_id[one.raw.parent_span_id]
            assert parent.raw.start_time_unix_nano <= one.raw.start_time_unix_nano, (parent.name, one.name)
            if parent.service == one.service and one.raw.kind != PRODUCER and not_alone(one, parent):
                assert one.raw.end_time_unix_nano <= parent.raw.end_time_unix_nano, (parent.name, one.name)
        check_names(one)


def trace_root(trace: list[Read]) -> str:
    """A trace begins at the edge where it has one, else where the record was read."""
    return next((one.name for one in trace if one.raw.kind == SERVER), "process weir.requests.internal")


def not_alone(one: Read, parent: Read) -> bool:
    """A record that comes back, and a workflow that nobody waits for, outlast what they follow from."""
    return one.raw.kind != CONSUMER and not (one.name == "workflow callee" and parent.name == "step go")


def check_names(one: Read) -> None:
    """Names and attributes as in the conventions."""
    said, kind = one.said, one.raw.kind
    if kind in (PRODUCER, CONSUMER):
        doing = "send" if kind == PRODUCER else "process"
        assert one.name == f"{doing} {said['messaging.destination.name']}"
        assert (said["messaging.system"], said["messaging.operation.name"], said["messaging.operation.type"]) == (
            "kafka", doing, doing)
        assert kind == PRODUCER or said[spans.QUEUE_US] >= 0
    elif kind == SERVER:
        assert one.name == f"{said['http.request.method']} {said['http.route']}"
        assert {"url.path", "url.scheme", "http.response.status_code"} <= set(said)
    elif kind == CLIENT:
        assert one.name == said["http.request.method"]
        assert {"url.full", "server.address", "server.port", "http.response.status_code"} <= set(said)


async def post(http: ClientSession, platform: Platform, path: str, **more: Any) -> tuple[int, str, bytes]:
    async with http.post(platform.ingress + path, **{"json": {}, **more}) as answer:
        return answer.status, answer.headers["X-Request-Id"], await answer.read()


async def test_call_that_is_answered_passes_every_hop(
        platform: Platform, http: ClientSession, project: str, exported: Spans) -> None:
    _, request_id, _ = await post(http, platform, f"/{project}/plain/7")
    root = f"POST /{project}/plain/{{id}}"
    trace = await exported.of_request(request_id, root, *EDGE, *RUN, *BACK, "workflow plain", "step answer")
    check(trace)
    assert len(trace) == 10, sorted(one.name for one in trace)
    named = {one.name: one for one in trace}
    decided = named["policy decide"]
    assert [name for name in decided.said if name.startswith("weir.check.")] == [
        f"weir.check.{name}_us" for name in ("deadline", "route", "caller", "signals", "policies", "idempotency",
                                             "limits", "allowance", "form", "input")]
    assert decided.said[spans.REASON] == "ok"
    assert named[root].said["url.path"] == f"/{project}/plain/7"
    services = {"weir-ingress": [root, EDGE[0], BACK[1]], "weir-policy": [*EDGE[1:], RUN[0]],
                "weir-executor": [RUN[1], "workflow plain", "step answer", BACK[0]]}
    assert {one.name: one.service for one in trace} == {
        name: service for service, names in services.items() for name in names}


async def test_refused_call_ends_at_policy_and_is_no_failure_of_the_server(
        platform: Platform, http: ClientSession, project: str, exported: Spans) -> None:
    status, request_id, _ = await post(http, platform, f"/{project}/closed")
    trace = await exported.of_request(request_id, f"POST /{project}/closed", *EDGE, *BACK)
    check(trace)
    assert (status, len(trace)) == (401, 6)
    named = {one.name: one for one in trace}
    assert named["policy decide"].said[spans.REASON] == "credentials-missing"
    assert not any(one.raw.status.code for one in trace)


async def test_decision_names_the_policy_that_made_it(
        platform: Platform, http: ClientSession, exported: Spans, name: str) -> None:
    files = {"weir.yaml": f"name: {name}\ntracing: {{ ratio: 1 }}\n",
             "operations.yaml": "operations: [{ name: o, method: POST, path: /o, workflow: w, public: true }]",
             "access.yaml": "policies:\n"
                            "  - name: no-robots\n    action: reject\n"
                            "    rules: [{ header: { name: x-robot, exists: true } }]\n"
                            "  - { name: few, action: accept, limits: [{ limit: 1, per: hour, by: operation }] }\n",
             "workflows/w.yaml": "steps: [{ id: answer, reply: { body: 1 } }]"}
    await asyncio.to_thread(platform.admin, "POST", f"/projects/{name}/versions", {"files": files})
    await platform.configured(http)
    for headers, status, reason, policy in (({"x-robot": "1"}, 403, "access-rejected", "no-robots"),
                                            ({}, 200, "ok", "few"), ({}, 429, "rate-limited", "few")):
        found, request_id, _ = await post(http, platform, f"/{name}/o", headers=headers)
        trace = await exported.of_request(request_id, *EDGE, *BACK)
        decided = next(one for one in trace if one.name == "policy decide").said
        assert (found, decided[spans.REASON], decided[spans.POLICY]) == (status, reason, policy)


@pytest.mark.parametrize(("path", "headers"), [
    ("later", {}), ("forget", {}), ("plain/1", {"Prefer": "respond-async"})], ids=["validate", "forget", "prefer"])
async def test_work_that_goes_on_after_the_answer_stays_in_the_trace(
        platform: Platform, http: ClientSession, project: str, exported: Spans, path: str,
        headers: dict[str, str]) -> None:
    status, request_id, _ = await post(http, platform, f"/{project}/{path}", headers=headers)
    trace = await exported.of_request(request_id, *EDGE, *RUN, *BACK, "workflow plain", "step answer")
    check(trace)
    assert (status, len(trace)) == (202, 10)


async def test_question_for_a_result_is_a_trace_of_its_own(
        platform: Platform, http: ClientSession, project: str, exported: Spans) -> None:
    _, execution, _ = await post(http, platform, f"/{project}/later")
    async with http.get(f"{platform.ingress}/{project}/-/executions/{execution}") as answer:
        request_id = answer.headers["X-Request-Id"]
    trace = await exported.of_request(request_id, f"GET /{project}/-/executions/{{id}}", *EDGE, *BACK)
    check(trace)
    assert len(trace) == 6


async def test_stream_of_events_is_one_trace(
        platform: Platform, http: ClientSession, project: str, exported: Spans) -> None:
    _, request_id, body = await post(http, platform, f"/{project}/stream")
    assert body.count(b"data: ") == 4
    trace = await exported.of_request(request_id, *EDGE, *RUN, *BACK, "step each", "pass 2", *["step say"] * 3)
    check(trace)
    root = next(one for one in trace if one.raw.kind == SERVER)
    assert root.said[spans.PARTS] == 4


async def test_workflows_that_are_called_stand_under_the_steps_that_call_them(
        platform: Platform, http: ClientSession, project: str, exported: Spans) -> None:
    _, request_id, _ = await post(http, platform, f"/{project}/calls")
    trace = await exported.of_request(request_id, *EDGE, *RUN, *BACK, *["workflow callee", "step inside"] * 2)
    check(trace)
    by_id = {one.raw.span_id: one for one in trace}
    assert sorted(by_id[one.raw.parent_span_id].name for one in trace if one.name == "workflow callee") == [
        "step go", "step wait"]


async def test_calls_of_a_workflow_take_the_trace_and_what_came_with_it_along(
        platform: Platform, http: ClientSession, project: str, exported: Spans) -> None:
    trace_id = uuid.uuid4().hex
    _, request_id, _ = await post(
        http, platform, f"/{project}/outside", json={"url": f"{platform.stub_hr}/people/e-100"}, headers={
            "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "tracestate": "rojo=1", "baggage": "tenant=acme"})
    trace = await exported.of_request(request_id, *EDGE, *RUN, *RUN, *BACK, *BACK, "GET", "send examples.trace",
                                      "send weir.requests.internal", "process weir.requests.internal")
    # the caller's own span is the parent of the first one
    first = next(one for one in trace if one.raw.kind == SERVER)
    assert (first.raw.trace_id.hex(), first.raw.parent_span_id.hex()) == (trace_id, "00f067aa0ba902b7")
    first.raw.parent_span_id = b""
    check(trace)
    assert len({one.said[spans.REQUEST_ID] for one in trace if one.name == "process weir.executions"}) == 2
    async with http.get(f"{platform.stub_hr}/seen") as answer:
        seen = next(call for call in await answer.json() if trace_id in call["traceparent"])
    client = next(one for one in trace if one.raw.kind == CLIENT)
    assert seen["traceparent"] == f"00-{trace_id}-{client.raw.span_id.hex()}-01"


async def test_internal_call_begins_its_trace_at_policy_or_goes_on_with_its_callers(
        platform: Platform, kafka: KafkaSettings, project: str, exported: Spans, name: str) -> None:
    topic = f"replies.{name}"
    await ensure_topics(platform.kafka, [Topic(name=topic, value="", writers=(), readers=(), partitions=1)])
    hops = ("process weir.requests.internal", "policy decide", *RUN, "workflow plain", "step answer", f"send {topic}")
    async with WeirClient(kafka, reply_topic=topic) as weir:
        reply = await weir.call(project, "plain", params={"id": "1"})
        check(await exported.of_request(reply.request_id, *hops))
        trace_id = uuid.uuid4().hex
        reply = await weir.call(project, "plain", params={"id": "1"},
                                traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
        trace = await exported.of_request(reply.request_id, *hops)
    first = next(one for one in trace if one.name == hops[0])
    assert (first.raw.trace_id.hex(), first.raw.parent_span_id.hex()) == (trace_id, "00f067aa0ba902b7")


async def test_execution_that_waits_without_a_worker_stays_in_its_trace(
        platform: Platform, http: ClientSession, project: str, exported: Spans) -> None:
    _, request_id, _ = await post(http, platform, f"/{project}/parked")
    trace = await exported.of_request(request_id, *EDGE, RUN[0], RUN[1], RUN[1], "step answer")
    check(trace)
    first, second = (one for one in trace if one.name == RUN[1])
    assert (first.events, second.events) == ([spans.PARKED], [])
    assert not any(one.raw.status.code for one in trace)


async def test_first_answer_that_is_given_again_runs_nothing(
        platform: Platform, http: ClientSession, project: str, exported: Spans) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    await post(http, platform, f"/{project}/plain/1", headers=key)
    _, request_id, _ = await post(http, platform, f"/{project}/plain/1", headers=key)
    trace = await exported.of_request(request_id, *EDGE, *BACK)
    check(trace)
    assert len(trace) == 6


@pytest.mark.parametrize("sent", ["00-0-0-01", "x" * 200, f"00-{'0' * 32}-00f067aa0ba902b7-01", "\u00fc"])
async def test_malformed_context_is_replaced_and_never_an_error(
        platform: Platform, http: ClientSession, project: str, exported: Spans, sent: str) -> None:
    status, request_id, _ = await post(http, platform, f"/{project}/plain/1", headers={
        "traceparent": sent, "tracestate": "\u00fc=,", "baggage": ",,\u00fc"})
    assert status == 200
    check(await exported.of_request(request_id, *EDGE, *RUN, *BACK))


async def test_client_that_may_gets_a_trace_by_asking_and_an_operation_may_have_its_own_share(
        platform: Platform, http: ClientSession, exported: Spans, name: str) -> None:
    files = {"weir.yaml": f"name: {name}\ntracing: {{ ratio: 0, debug: [dev] }}\n",
             "operations.yaml": "operations:\n  - { name: o, method: POST, path: /o, workflow: w }\n"
                                "  - { name: all, method: POST, path: /all, workflow: w, tracing: { ratio: 1 } }\n",
             "access.yaml": "clients: [{ name: dev }, { name: till }]\n",
             "workflows/w.yaml": "steps: [{ id: answer, reply: { body: 1 } }]"}
    await asyncio.to_thread(platform.admin, "POST", f"/projects/{name}/versions", {"files": files})
    made = {client: platform.admin("POST", f"/projects/{name}/clients/{client}/tokens", {})["token"]
            for client in ("dev", "till")}
    await platform.configured(http)

    async def ask(client: str, path: str = "o", **headers: str) -> str:
        _, request_id, _ = await post(http, platform, f"/{name}/{path}", headers={
            "Authorization": f"Bearer {made[client]}", **headers})
        return request_id
    untold = [await ask("dev"), await ask("till", **{"x-weir-trace": "1"})]
    check(await exported.of_request(await ask("dev", **{"x-weir-trace": "1"}), *EDGE, *RUN, *BACK))
    # what an operation says goes before its project
    check(await exported.of_request(await ask("till", "all"), *EDGE, *RUN, *BACK))
    told = {one.said.get(spans.REQUEST_ID) for trace in exported.by_trace.values() for one in trace}
    assert not told & set(untold)


async def test_counting_is_linked_to_the_traces_that_it_counts(
        platform: Platform, http: ClientSession, project: str, exported: Spans) -> None:
    _, request_id, _ = await post(http, platform, f"/{project}/plain/1")
    trace = await exported.of_request(request_id, *EDGE, *RUN, *BACK)
    trace_id = trace[0].raw.trace_id.hex()

    async def linked() -> bool:
        await exported.read()
        return trace_id in exported.linked
    await eventually(linked)
    counted = exported.linked[trace_id][0]
    assert (counted.service, counted.name) == ("weir-analytics", f"process {topics.USAGE}")
    assert trace_id != counted.raw.trace_id.hex()
    shown = await asyncio.to_thread(platform.weir, "trace", request_id)
    assert "later: weir-analytics process weir.usage" in shown.stdout
