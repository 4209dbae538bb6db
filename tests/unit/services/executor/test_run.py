"""The walk over a plan, and the steps."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.executor.endings import Endings
from services.executor.journal import Journals
from services.executor.neighbours import Line, Neighbours
from services.executor.outside.client import OutsideClient
from services.executor.outside.credentials import Credentials
from services.executor.plan import compile_plans
from services.executor.retries import kind_of
from services.executor.run import run
from services.executor.scene import Scene, StorageBounds, Surroundings, Tally
from services.executor.scripts import Scripts
from shared.clock import SystemClock
from shared.contracts.config import Credential
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.reply import error_reply
from shared.contracts.sealed import Seal
from shared.contracts.traceparent import TraceContext
from shared.errors import ReplyInvalid, TimedOut, UpstreamFailed, WeirError, WorkflowFailed
from shared.kafka.outbox import Outbox
from shared.project.model import Project
from shared.runtime.addresses import Addresses
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from shared.telemetry.metrics import Metrics
from shared.telemetry.span import Span
from shared.telemetry.tracing import Tracing

ANSWER = {"id": "answer", "reply": {"body": "{% steps %}"}}


@pytest.fixture
async def outside() -> AsyncIterator[TestServer]:
    """An outside system."""
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"method": request.method, "query": dict(request.query), "body": await request.text(),
                                  "traceparent": request.headers.get("traceparent", ""),
                                  "state": request.headers.get("tracestate"),
                                  "baggage": request.headers.get("baggage")})

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async def big(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 2000)

    async def lie(_: web.Request) -> web.Response:
        return web.Response(body=b"{", content_type="application/json")

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=500)

    application = web.Application()
    application.router.add_get("/broken", broken)
    application.router.add_route("*", "/echo", echo)
    application.router.add_get("/slow", slow)
    application.router.add_get("/big", big)
    application.router.add_get("/lie", lie)
    async with TestServer(application) as server:
        yield server


def nowhere() -> Store:
    """A store that is not there: what is not durable asks none."""
    return Store(RedisSettings(url="redis://127.0.0.1:9/0"))


def nobody() -> Neighbours:
    """Nobody to call: what calls no operation asks none."""
    kafka = KafkaSettings()
    return Neighbours(Line(kafka=kafka, tasks=Tasks(), metrics=Metrics(), store=nowhere(), outbox=Outbox(kafka),
                           owner="t", max_in_flight=1))


async def perform(steps: list[dict[str, Any]], *, left_ms: int = 20_000, operation: dict[str, Any] | None = None,
                  trigger: dict[str, Any] | None = None, config: dict[str, Any] | None = None,
                  workflow: dict[str, Any] | None = None, others: dict[str, Any] | None = None,
                  journals: Journals | None = None, store: Store | None = None,
                  allow: tuple[str, ...] = ("127.0.0.0/8",), outbox: Outbox | None = None,
                  sealed: tuple[Seal, list[Credential]] | None = None, park_after_ms: int = 60_000,
                  stream: Any = None, depth: int = 0, traced: list[Span] | None = None,
                  request_id: str = "r", holder: str = "", body: bytes = b"") -> tuple[Any, Scene]:
    """`traced` gets the spans: with it the trace is sampled."""
    tracing = Tracing("t", "t")
    scripts = Scripts(time_ms=500, memory_bytes=16_000_000, threads=1)
    project = Project.model_validate({
        "name": "p", "workflows": {"w": {"name": "w", "steps": steps, **(workflow or {})}, **(others or {})},
        "operations": [{"name": "o", "method": "GET", "path": "/", "workflow": "w", **(operation or {})}]})
    execution = ExecutionRecord(request_id=request_id, project="p", version=1, operation="o", client="c", source="edge",
                                origin=Origin("t", 0, 0), deadline_ms=int(time.time() * 1000) + left_ms,
                                tracestate="rojo=1", baggage="tenant=acme", depth=depth, body=body, holder=holder)
    http = OutsideClient(Addresses(allow), connections=100, per_host=100)
    credentials = Credentials(None if sealed is None else sealed[0], http, SystemClock())
    for one in () if sealed is None else sealed[1]:
        credentials.take(one)
    try:
        scene = Scene(
            surroundings=Surroundings(http=http, credentials=credentials,
                                      clock=SystemClock(), tracing=tracing, tasks=Tasks(),
                                      journals=journals or Journals(nowhere(), Tasks()), store=store or nowhere(),
                                      scripts=scripts, storage=StorageBounds(1000, 3),
                                      outbox=outbox or Outbox(KafkaSettings()), publish_topics=("shop.",),
                                      endings=Endings(nowhere(), Tasks()), neighbours=nobody(),
                                      park_after_ms=park_after_ms,
                                      max_response_bytes=1000), tally=Tally(),
            execution=execution, trace=TraceContext.new(sampled=traced is not None),
            stream=stream, scope={"trigger": trigger or {}, "steps": {}, "errors": {}, "config": config or {},
                   "execution": {"id": "r"}})
        plan = compile_plans(project, config or {})["o"]
        try:
            return await run(plan, scene, 1000), scene
        except WeirError as error:
            return error, scene
        finally:
            while scene.tally.beside:
                await asyncio.wait(scene.tally.beside)
            await scripts.stop()
            if traced is not None:
                traced += tracing.take()[0]
    finally:
        await http.stop()


async def test_steps_run_in_order_and_each_counts_as_one_task() -> None:
    reply, scene = await perform([
        {"id": "a", "transform": {"value": 1}}, {"id": "b", "transform": {"value": "{% steps.a + 1 %}"}}, ANSWER])
    assert (reply.status, reply.body, scene.tally.tasks) == (200, b'{"a":1,"b":2}', 4)


async def test_step_whose_condition_fails_is_skipped_and_costs_nothing() -> None:
    reply, scene = await perform([
        {"id": "a", "if": "trigger.x = 1", "transform": {"value": 1}},
        {"id": "b", "if": "{% trigger.x = 2 %}", "transform": {"value": 2}}, ANSWER], trigger={"x": 2})
    assert (reply.body, scene.tally.tasks) == (b'{"b":2}', 3)


async def test_workflow_that_ends_without_a_reply_fails() -> None:
    error, scene = await perform([{"id": "a", "transform": {"value": 1}}])
    assert isinstance(error, WorkflowFailed)
    assert scene.tally.tasks == 2


async def test_expression_that_fails_names_its_step() -> None:
    error, _ = await perform([{"id": "a", "transform": {"value": "{% $number('x') %}"}}, ANSWER])
    assert isinstance(error, WorkflowFailed)
    assert error.members["step"] == "a"


async def test_endless_expression_is_stopped() -> None:
    endless = "{% ($f := function($x) {$f($x)}; $f(1)) %}"
    error, _ = await perform([{"id": "a", "transform": {"value": endless}}, ANSWER])
    assert isinstance(error, WorkflowFailed)


@pytest.mark.parametrize(("operation", "reply", "status"), [
    ({}, {"body": 1}, 200), ({}, {"name": "forbidden"}, 403), ({}, {"name": "success", "status": 299}, 299),
    ({"replies": {"made": {"status": 201}}}, {"name": "made"}, 201)],
    ids=["plain", "well-known", "own status", "declared"])
async def test_reply_has_the_status_of_its_name(operation: dict[str, Any], reply: dict[str, Any], status: int) -> None:
    made, _ = await perform([{"id": "a", "reply": reply}], operation=operation)
    assert made.status == status


@pytest.mark.parametrize(("reply", "body", "content_type"), [
    ({"body": "a,b"}, b'"a,b"', "application/json"), ({"headers": {"x-a": "b"}, "body": 1}, b"1", "application/json"),
    ({"headers": {"Content-Type": "text/csv; charset=utf-8"}, "body": "a,\u00e9"}, b"a,\xc3\xa9",
     "text/csv; charset=utf-8"),
    ({"headers": {"content-type": "application/hal+json"}, "body": "a"}, b'"a"', "application/hal+json"),
    ({"headers": {"content-type": "{% 'text/plain' %}"}, "body": {"a": 1}}, b'{"a":1}', "text/plain"),
    ({"headers": {"content-type": "text/plain"}}, b"", None),
    *[({"status": status, "headers": {"content-type": "text/plain"}, "body": "x"}, b"", None)
      for status in (204, 205, 304)]])
async def test_reply_says_what_its_body_is_and_has_none_where_nobody_reads_it(
        reply: dict[str, Any], body: bytes, content_type: str | None) -> None:
    made, _ = await perform([{"id": "a", "reply": reply}])
    assert (made.body, made.content_type) == (body, content_type)


async def test_reply_whose_type_is_none_is_not_sent() -> None:
    error, _ = await perform([{"id": "a", "reply": {"headers": {"content-type": "{% 'text\\nplain' %}"}, "body": 1}}])
    assert isinstance(error, ReplyInvalid)
    assert "is a media type" in str(error)


async def test_reply_that_does_not_fit_its_schema_is_not_sent() -> None:
    error, _ = await perform([{"id": "a", "reply": {"body": {"n": "x"}}}], operation={
        "replies": {"success": {"body": {"properties": {"n": {"type": "integer"}}}}}})
    assert isinstance(error, ReplyInvalid)
    assert "/n" in str(error)


NOT_FOUND = {"replies": {"success": {"body": {"required": ["name"]}}, "not_found": {
    "status": 404, "body": {"required": ["message"]}, "headers": {"required": ["X-Why"]}}}}


@pytest.mark.parametrize(("reply", "told"), [
    ({"status": 404, "headers": {"x-why": "gone"}, "body": {"message": "no"}}, ""),
    ({"status": 404, "headers": {"x-why": "gone"}, "body": {"name": "no"}}, "reply 'not_found': body /: "),
    ({"status": 404, "body": {"message": "no"}}, "reply 'not_found': headers /: "),
    ({"name": "success", "status": 404, "body": {"message": "no"}}, "reply 'success': body /: "),
    ({"status": 409, "body": {"message": "no"}}, "reply 'success': body /: ")],
    ids=["fits", "body", "headers", "named", "declared nowhere"])
async def test_reply_with_a_status_is_checked_as_the_declared_one_that_has_it(reply: dict[str, Any], told: str) -> None:
    made, _ = await perform([{"id": "a", "reply": reply}], operation=NOT_FOUND)
    assert str(made).startswith(told) if told else (made.status, made.body) == (404, b'{"message":"no"}')


async def test_reply_larger_than_the_bound_is_not_sent() -> None:
    error, _ = await perform([{"id": "a", "reply": {"body": "x" * 2000}}])
    assert isinstance(error, ReplyInvalid)
    assert "WEIR_EXECUTOR_MAX_REPLY_BYTES" in str(error)


async def test_reply_is_as_large_as_its_body_and_its_headers() -> None:
    error, _ = await perform([{"id": "a", "reply": {"headers": {"x-a": "x" * 600}, "body": "x" * 600}}])
    assert isinstance(error, ReplyInvalid)
    reply, _ = await perform([{"id": "a", "reply": {"headers": {"x-a": "x" * 300}, "body": "x" * 600}}])
    assert reply.headers == {"x-a": "x" * 300}


async def test_failure_is_told_in_an_answer_that_fits_into_a_record() -> None:
    error, _ = await perform([{"id": "f", "fail": {"message": "it said {% $pad('', 1500000, 'x') %}"}}])
    told = error_reply(error, "r")
    Outbox(KafkaSettings()).check(told.body, told.to_headers())
    assert orjson.loads(told.body)["detail"].startswith("it said xx")


async def test_http_step_sends_query_body_and_trace_and_parses_json(outside: TestServer) -> None:
    reply, _ = await perform([
        {"id": "call", "http": {"method": "POST", "url": "{% config.base %}/echo", "body": {"n": "{% trigger.n %}"},
                                "query": {"a": "{% trigger.n %}", "none": "{% trigger.none %}"}}},
        {"id": "answer", "reply": {"body": "{% steps.call.body %}"}}],
        trigger={"n": 5}, config={"base": str(outside.make_url("")).rstrip("/")})
    body = orjson.loads(reply.body)
    assert body["query"] == {"a": "5"}
    assert body["body"] == '{"n":5}'
    assert body["traceparent"].startswith("00-")
    assert (body["state"], body["baggage"]) == ("rojo=1", "tenant=acme")


@pytest.mark.parametrize(("path", "kind", "name", "retries"), [
    ("/nowhere", UpstreamFailed, "upstream-failed", 1), ("/broken", UpstreamFailed, "upstream-failed", 1),
    ("/big", UpstreamFailed, "response-too-large", 0), ("/lie", UpstreamFailed, "upstream-failed", 1),
    ("/slow", TimedOut, "timeout", 1)])
async def test_outside_system_that_misbehaves_fails_the_call(
        outside: TestServer, path: str, kind: type, name: str, retries: int) -> None:
    call = {"id": "call", "http": {"url": str(outside.make_url(path)), "timeout": "200ms"},
            "retry": {"attempts": 2, "delay": "1ms"}}
    error, scene = await perform([call, ANSWER])
    assert (type(error), kind_of(error), scene.tally.retries) == (kind, name, retries)
    assert str(outside.port) not in str(error)


async def test_expected_status_is_no_failure(outside: TestServer) -> None:
    reply, _ = await perform([
        {"id": "call", "http": {"url": str(outside.make_url("/nowhere")), "expect": [404]}},
        {"id": "answer", "reply": {"body": "{% steps.call.status %}"}}])
    assert reply.body == b"404"


async def test_nothing_starts_after_the_deadline(outside: TestServer) -> None:
    error, scene = await perform([{"id": "call", "http": {"url": str(outside.make_url("/echo"))}}, ANSWER], left_ms=-1)
    assert isinstance(error, TimedOut)
    assert scene.tally.tasks == 1


async def test_operation_ends_at_its_deadline_whatever_the_step_allows(outside: TestServer) -> None:
    began = time.monotonic()
    error, _ = await perform([{"id": "call", "http": {"url": str(outside.make_url("/slow"))}}, ANSWER], left_ms=200)
    assert isinstance(error, TimedOut)
    assert time.monotonic() - began < 2


async def test_url_that_is_no_url_is_the_workflows_fault() -> None:
    error, _ = await perform([{"id": "call", "http": {"url": "{% trigger.nothing %}"}}, ANSWER])
    assert isinstance(error, WorkflowFailed)


@pytest.mark.parametrize("value", [2**63, -2**63 - 1, 2**70, 1e30])
async def test_increment_by_more_than_64_bits_is_refused_as_what_it_is(value: float) -> None:
    error, _ = await perform([{"id": "s", "storage": {"key": "k", "action": "increment", "value": value}}, ANSWER])
    assert "increment takes a number of 64 bits" in str(error)
