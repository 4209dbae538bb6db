"""The whole door over a real connection, with neither a broker nor a store behind it."""

import asyncio
import base64
import gzip
import json
import logging
import re
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import pytest

from services.ingress import message
from services.ingress import pages as module
from services.ingress.again import Again
from services.ingress.bodies import Bodies
from services.ingress.callers import Callers
from services.ingress.doorstep import Heads
from services.ingress.edge_usage import EdgeUsage
from services.ingress.endings import Endings
from services.ingress.gate import Gate
from services.ingress.inbox import Door, EdgeParts
from services.ingress.pages import Pages
from services.ingress.routes import EdgeRoutes
from services.ingress.settings import IngressSettings
from services.ingress.traces import EdgeTraces
from services.ingress.wire import HttpServer
from shared.client.caller import Caller
from shared.client.pending import Pending
from shared.clock import SystemClock
from shared.contracts.config import ProjectVersion
from shared.contracts.reply import ReplyRecord
from shared.contracts.usage import UsageEvent
from shared.decision.signals import SignalBoard
from shared.runtime.health import Health
from shared.settings.service import ServiceSettings
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics
from shared.telemetry.sampling import Sampler
from shared.telemetry.tracing import Tracing
from tests.support.fakes import FakeOutbox
from tests.support.platform import eventually

DOCUMENT = {"name": "p", "title": "</title>P&Q", "operations": [
    {"name": "make", "method": "POST", "path": "/a", "workflow": "w"},
    {"name": "hear", "method": "GET", "path": "/live", "workflow": "w", "mode": "events"}],
    "workflows": {"w": {"name": "w", "steps": [{"id": "a", "reply": {}}]}}}
PACKED = gzip.compress(b"all of it")
HEAD = b"POST /p/a HTTP/1.1\r\nHost: x\r\n"


class Outbox(FakeOutbox):
    """One whose broker never stalls."""

    stalled = False


class Edge:
    """All of an ingress that needs no broker. `counted`: usage events of the edge's own."""

    def __init__(self, **settings: Any) -> None:
        """Inside the running loop."""
        own = IngressSettings(**{"port": 0, "parting_ms": 0, **settings})
        clock, metrics = SystemClock(), Metrics(muted=True)
        self.counted, self.outbox, self.routes, heads = list[UsageEvent](), Outbox(), EdgeRoutes(), Heads()
        self.routes.take([ProjectVersion(project="p", version=1, document=DOCUMENT, files={}, time=0)])
        self.pending = Pending(own.max_in_flight, metrics)
        outbox: Any = self.outbox
        replies: Any = SimpleNamespace(topic="weir.replies", partition=0)
        envelopes: Any = SimpleNamespace(add=self.counted.append)
        self.said = list[Any]()
        store: Any = SimpleNamespace(run=self._run)
        caller, callers = Caller(outbox, self.pending, replies), Callers(own, self.routes, SignalBoard())
        self.bodies = Bodies(own.max_bodies_bytes)
        self.gate = Gate(clock, most=own.max_in_flight, target_ms=100, patience_ms=1_000)
        traces = EdgeTraces(Tracing("ingress", "i"), Sampler(clock, ratio=0, max_per_s=0), clock, 1_000)
        endings = Endings(clock=clock, routes=self.routes, metrics=metrics, traces=traces, access=AccessLog(0),
                          usage=EdgeUsage(envelopes, clock, keep_addresses=True))
        again = Again(clock=clock, routes=self.routes, caller=caller, gate=self.gate, callers=callers, traces=traces,
                      endings=endings, heads=heads)
        door = Door(EdgeParts(
            settings=own, clock=clock, routes=self.routes, caller=caller, gate=self.gate, bodies=self.bodies,
            again=again, callers=callers, endings=endings, metrics=metrics, traces=traces, pages=Pages(self.routes),
            health=Health("ingress", metrics), seal=None, store=store))
        self.http = HttpServer(door, heads, endings, self.pending, ServiceSettings(drain_ms=1_000), own)

    async def _run(self, *said: Any) -> None:
        self.said.append(said)

    async def listen(self) -> None:
        """Take calls."""
        await self.http.start()
        assert self.http._runner is not None
        self.address = self.http._runner.addresses[0][:2]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A caller's connection."""
        return await asyncio.open_connection(*self.address)

    def reply(self, number: int = -1, **answer: Any) -> None:
        """What was published is answered."""
        record = json.loads(dict(self.outbox.sent[number].headers)["weir-request"])
        self.pending.resolve(base64.b64decode(record["reply_to"]["correlation_id"]),
                             ReplyRecord(request_id="r", **answer))


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    made = Edge(body_ms=200)
    await made.listen()
    yield made
    await made.http.stop()


async def test_caller_that_goes_before_its_body_has_come_is_no_error_of_the_gateway(
        edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    for framing in (b"Content-Length: 9\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n9\r\n{"):
        edge.counted.clear()
        _, writer = await edge.connect()
        writer.write(HEAD + framing)
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await eventually(lambda: edge.counted, every_s=0.005)
        assert [(one.status, one.reason) for one in edge.counted] == [(499, "client-gone")]
    # the loop is that of all tests, and what others began may write still
    assert [line for line in caplog.records
            if line.levelno >= logging.WARNING and not line.name.startswith("services.executor")] == []
    assert edge.outbox.sent == []


@pytest.mark.parametrize("framing", [b"Content-Length: 9\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n9\r\n{"])
async def test_body_is_not_waited_for_for_ever_though_a_little_of_it_comes_each_moment(
        edge: Edge, framing: bytes) -> None:
    reader, writer = await edge.connect()
    writer.write(HEAD + framing)
    for _ in range(4):
        await asyncio.sleep(0.04)
        writer.write(b"1")
    answer = await asyncio.wait_for(reader.read(), 2)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert [(one.status, one.reason) for one in edge.counted] == [(408, "body-too-slow")]
    assert edge.outbox.sent == []


@pytest.mark.parametrize(("framing", "status"), [
    (b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (len(PACKED) - 9) + PACKED[:-9], b"400"),
    (b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED, b"200"),
    (b"Transfer-Encoding: gzip, chunked\r\n\r\n%x\r\n" % len(PACKED) + PACKED + b"\r\n0\r\n\r\n", b"400")],
    ids=["cut short", "whole", "packed on the way"])
async def test_body_that_is_coded_is_passed_on_as_it_was_meant_or_not_at_all(
        edge: Edge, framing: bytes, status: bytes) -> None:
    reader, writer = await edge.connect()
    writer.write(HEAD + framing)
    if status == b"200":
        await eventually(lambda: edge.outbox.sent, every_s=0.005)
        edge.reply(status=200, body=b"1")
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    writer.close()
    assert answer.split()[1] == status
    assert [one.value for one in edge.outbox.sent] == ([b"all of it"] if status == b"200" else [])


@pytest.mark.parametrize("pause_s", [0, 0.02], ids=["at once", "later"])
@pytest.mark.parametrize("framing", [
    b"Content-Length: 1\r\n\r\n1", b"Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n"], ids=["length", "chunks"])
async def test_caller_that_sends_no_more_gets_its_answer_and_the_end(
        edge: Edge, framing: bytes, pause_s: float) -> None:
    reader, writer = await edge.connect()
    writer.write(HEAD + framing)
    if pause_s:
        await eventually(lambda: edge.outbox.sent, every_s=0.005)
    writer.write_eof()
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    await asyncio.sleep(0.02)
    edge.reply(status=200, body=b"1")
    answer = await asyncio.wait_for(reader.read(), 2)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer


async def test_caller_that_sends_no_more_gets_all_of_its_answers(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write((HEAD + b"Content-Length: 0\r\n\r\n") * 2 + b"GET /-/live HTTP/1.1\r\nHost: x\r\n\r\n")
    writer.write_eof()
    for number in range(2):
        await eventually(lambda number=number: len(edge.outbox.sent) > number, every_s=0.005)
        edge.reply(status=200, body=b"%d" % number)
    answers = await asyncio.wait_for(reader.read(), 2)
    writer.close()
    assert answers.count(b"HTTP/1.1 200 ") == 3


async def test_stream_goes_on_for_who_sent_no_more_before_and_ends_for_who_leaves_it(edge: Edge) -> None:
    for leaves in (False, True):
        edge.said.clear()
        reader, writer = await edge.connect()
        writer.write(b"GET /p/live HTTP/1.1\r\nHost: x\r\n\r\n")
        if leaves:
            await eventually(lambda: len(edge.outbox.sent) == 2, every_s=0.005)
        writer.write_eof()
        await eventually(lambda: edge.outbox.sent, every_s=0.005)
        await asyncio.sleep(0.02)
        edge.reply(status=200, body=b"1", sequence=0, event="end", last=not leaves)
        heard = await asyncio.wait_for(reader.read(), 3)
        writer.close()
        assert heard.endswith(b"data: 1\n\n\r\n0\r\n\r\n") is not leaves
        assert [one[2][1] for one in edge.said] == ["client-gone"] * leaves


async def test_connection_over_which_nothing_whole_came_ends_with_its_caller(edge: Edge) -> None:
    for sent in (b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n1"):
        reader, writer = await edge.connect()
        writer.write(sent)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 1) == b""
        writer.close()
    assert edge.outbox.sent == []


async def test_bodies_beyond_the_memory_for_all_of_them_are_refused_while_they_come() -> None:
    edge = Edge(body_ms=5_000, max_bodies_bytes=1_000_000)
    await edge.listen()
    large = HEAD + b"Content-Length: 600000\r\n\r\n" + b" " * 599_999
    (first, sends), (reader, writer) = await edge.connect(), await edge.connect()
    sends.write(large)
    await eventually(lambda: edge.bodies.held == 599_999, every_s=0.005)
    writer.write(large)
    answer = await asyncio.wait_for(reader.readuntil(b"MAX_BODIES_BYTES)"), 2)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in answer
    # whoever was there first is read to the end, and holds what it has until it is answered
    sends.write(b"1")
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    assert edge.bodies.held == 600_000
    edge.reply(status=200, body=b"1")
    assert (await asyncio.wait_for(first.readuntil(b"\r\n\r\n1"), 2)).startswith(b"HTTP/1.1 200 ")
    await eventually(lambda: edge.bodies.held == 0, every_s=0.005)
    for each in (sends, writer):
        each.close()
    await edge.http.stop()


async def test_answer_that_comes_before_the_end_of_a_body_in_chunks_is_the_last_of_its_connection(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write(b"POST /p/nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    # where the end of the body and a request come together, nobody can tell which of them a header belongs to
    assert (told.split()[1], b"\r\nConnection: close\r\n" in told) == (b"404", True)
    writer.write(b"1\r\nb\r\n0\r\n\r\n")
    await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_body_with_trailers_is_the_last_of_its_connection_and_its_answer_says_so(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    edge.reply(status=200, body=b"1")
    answer = await asyncio.wait_for(reader.read(), 2)
    writer.close()
    assert b"\r\nConnection: close\r\n" in answer


async def test_caller_that_reads_nothing_of_its_answer_keeps_no_connection(
        edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "_STILL_S", 0.05)
    _, writer = await edge.connect()
    writer.transport.pause_reading()
    writer.write((HEAD + b"Content-Length: 0\r\n\r\n") * 2)
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    edge.reply(status=200, body=b"1" * 20_000_000)
    assert edge.http._runner is not None
    server: Any = edge.http._runner.server
    await eventually(lambda: not server.connections, within_s=2, every_s=0.01)
    assert len(edge.outbox.sent) == 1
    writer.transport.abort()


async def test_caller_that_reads_its_answer_slowly_gets_all_of_it(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "_STILL_S", 0.2)
    reader, writer = await edge.connect()
    writer.write(HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    edge.reply(status=200, body=b"1" * 20_000_000)
    read = 0
    while part := await reader.read(500_000):
        read += len(part)
        await asyncio.sleep(0.02)
    writer.close()
    assert read > 20_000_000


@pytest.mark.parametrize("path", [b"/-/live", b"/-/metrics", b"/-/viewer/swagger-ui.css", b"/-/viewer/x",
                                  b"/p/reference", b"/p/openapi.json", b"/p/a"])
async def test_no_answer_says_what_the_edge_is_made_of(edge: Edge, path: bytes) -> None:
    reader, writer = await edge.connect()
    writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    writer.close()
    assert b"\r\nServer: weir\r\n" in head
    assert b"aiohttp" not in head


async def test_who_says_how_long_it_waits_is_told_that_this_is_done(edge: Edge) -> None:
    reader, writer = await edge.connect()
    for prefer, answered, said in ((b"wait=9", True, b"wait=9"), (b"wait=90", True, b"wait=30"), (b"x", True, None),
                                   (b"wait=1", False, b"wait=1")):
        edge.outbox.sent.clear()
        writer.write(HEAD + b"Prefer: " + prefer + b"\r\nContent-Length: 0\r\n\r\n")
        if answered:
            await eventually(lambda: len(edge.outbox.sent) == 1, every_s=0.005)
            edge.reply(status=204)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
        assert head.startswith(b"HTTP/1.1 204 " if answered else b"HTTP/1.1 504 ")
        found = re.search(rb"Preference-Applied: (.*)\r\n", head)
        assert (found[1] if found else None) == said
    writer.close()


async def test_who_still_waits_when_the_edge_stops_is_told_so(edge: Edge) -> None:
    caller, hearer = await edge.connect(), await edge.connect()
    caller[1].write(HEAD + b"Prefer: wait=9\r\nContent-Length: 0\r\n\r\n")
    await eventually(lambda: len(edge.outbox.sent) == 1, every_s=0.005)
    hearer[1].write(b"GET /p/live HTTP/1.1\r\nHost: x\r\n\r\n")
    await eventually(lambda: len(edge.outbox.sent) == 2, every_s=0.005)
    edge.reply(status=200, body=b"1", sequence=0, event="one")
    await edge.http.stop()
    told, heard = await caller[0].read(), await hearer[0].read()
    caller[1].close()
    hearer[1].close()
    assert told.startswith(b"HTTP/1.1 504 ")
    assert b"Location" not in told, "its result is kept only from shortly before its own time was over"
    assert b"this instance has stopped" in told
    assert b"event: one\n" in heard
    assert b"event: error\n" in heard
    assert heard.endswith(b"\r\n0\r\n\r\n"), "it is whole"
    live = dict(edge.outbox.sent[1].headers)["weir-request-id"].decode()
    assert edge.said == [("cancel", [], ["say", "client-gone", live])]
    assert (edge.gate._inside, len(edge.pending)) == (0, 0)


async def test_events_of_a_call_that_has_run_before_are_kept_by_nobody_on_the_way(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write(b"GET /p/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    edge.reply(status=200, body=b"event: end\ndata: 1\n\n", content_type="text/event-stream")
    heard = await asyncio.wait_for(reader.read(), 2)
    writer.close()
    assert b"\r\nCache-Control: no-store\r\n" in heard
    assert heard.endswith(b"\r\n\r\nevent: end\ndata: 1\n\n")


@pytest.mark.parametrize(("status", "media", "told"), [
    (200, "application/json", b"event: end"), (201, "application/json", b"event: end"),
    (404, "application/json", None), (500, "application/problem+json", None), (303, "text/plain", None)])
async def test_answer_without_an_event_before_it_is_the_last_one_if_it_is_good(
        edge: Edge, status: int, media: str, told: bytes | None) -> None:
    reader, writer = await edge.connect()
    writer.write(b"GET /p/live HTTP/1.0\r\nHost: x\r\n\r\n")
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    edge.reply(status=status, body=b"[1]", content_type=media, headers={"x-left": "3"})
    head, _, body = (await asyncio.wait_for(reader.read(), 2)).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(f"HTTP/1.0 {200 if told else status} ".encode())
    assert (b"x-left: 3" in head, b"text/event-stream" in head) == (True, told is not None)
    assert (body.splitlines()[0], body.splitlines()[2:]) == (told, [b"data: [1]", b""]) if told else body == b"[1]"


async def test_stream_to_a_caller_that_knows_no_chunks_ends_with_its_connection(edge: Edge) -> None:
    reader, writer = await edge.connect()
    writer.write(b"GET /p/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    edge.reply(status=200, body=b"1", sequence=0, event="end", last=True)
    heard = await asyncio.wait_for(reader.read(), 2)
    writer.close()
    assert heard.endswith(b"data: 1\n\n")


BROWSED = {"name": "q", "cors": [{"origins": ["https://a.example"]}, {"operations": ["put"], "origins": ["*"]}],
           "workflows": DOCUMENT["workflows"], "operations": [
               {"name": "get", "method": "GET", "path": "/a", "workflow": "w"},
               {"name": "put", "method": "PUT", "path": "/b", "workflow": "w"},
               {"name": "own", "method": "OPTIONS", "path": "/b", "workflow": "w"}]}
PAGE = "Origin: https://a.example"
ASKS = f"{PAGE}\r\nAccess-Control-Request-Method:"


@pytest.mark.parametrize(("line", "fields", "status", "says"), [
    ("GET /q/none", PAGE, 404, "Access-Control-Allow-Origin: https://a.example"),
    ("POST /q/a", PAGE, 405, "Access-Control-Allow-Origin: https://a.example"),
    ("GET /q/none", "Origin: https://b.example", 404, "Vary: Origin"),
    ("OPTIONS /q/none", f"{ASKS} DELETE", 204, "Access-Control-Allow-Methods: DELETE"),
    ("OPTIONS /q/none", f"{ASKS} a, b", 204, "Access-Control-Allow-Methods: "),
    ("OPTIONS /q/a", f"{ASKS} PUT", 204, "Access-Control-Allow-Methods: GET"),
    ("OPTIONS /q/a", f"{ASKS} GET", 204, "Access-Control-Allow-Methods: GET"),
    ("OPTIONS /q/none", PAGE, 404, "Access-Control-Allow-Origin: https://a.example"),
    ("GET /p/none", PAGE, 404, ""), ("OPTIONS /p/none", f"{ASKS} GET", 404, "")])
async def test_page_reads_why_its_call_leads_nowhere(
        edge: Edge, line: str, fields: str, status: int, says: str) -> None:
    edge.routes.take([ProjectVersion(project="q", version=1, document=BROWSED, files={}, time=0)])
    reader, writer = await edge.connect()
    writer.write(f"{line} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n".encode())
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)).decode()
    writer.close()
    assert int(head.split()[1]) == status
    assert says in head if says else "Access-Control" not in head
    assert ("https://b.example" in fields) is ("Allow-Origin" not in head and says != "")


async def test_operation_for_options_answers_where_another_method_is_asked_for(edge: Edge) -> None:
    edge.routes.take([ProjectVersion(project="q", version=1, document=BROWSED, files={}, time=0)])
    _, writer = await edge.connect()
    writer.write(f"OPTIONS /q/b HTTP/1.1\r\nHost: x\r\n{ASKS} GET\r\n\r\n".encode())
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    writer.close()


@pytest.mark.parametrize(("sent", "goes_on"), [(("a",), True), (("a", "b"), False), (("a", "a"), False), ((), False)])
async def test_call_begins_a_trace_of_its_own_unless_it_has_come_with_one(
        edge: Edge, sent: tuple[str, ...], goes_on: bool) -> None:
    _, writer = await edge.connect()
    lines = "".join(f"traceparent: 00-{one * 32}-{'b' * 16}-01\r\n" for one in sent)
    writer.write(f"GET /p/live HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    await eventually(lambda: edge.outbox.sent, every_s=0.005)
    writer.close()
    trace_id = json.loads(dict(edge.outbox.sent[0].headers)["weir-request"])["traceparent"].split("-")[1]
    assert (trace_id == "a" * 32) == goes_on
    assert trace_id != "b" * 32


async def read(edge: Edge, path: str) -> bytes:
    reader, writer = await edge.connect()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


async def test_title_of_a_project_is_a_text_in_its_reference(edge: Edge) -> None:
    assert b"<title>&lt;/title&gt;P&amp;Q</title>" in await read(edge, "/p/reference")


async def test_reference_runs_what_stands_in_its_files_alone_and_in_no_page_of_somebody_else(edge: Edge) -> None:
    page = await read(edge, "/p/reference")
    assert b"script-src 'self';" in page
    assert b"frame-ancestors 'none'" in page
    assert b"X-Content-Type-Options: nosniff" in page
    parts = re.findall(rb'<script src="([^"]+)"></script>|<link [^>]*href="([^"]+)"', page)
    assert page.count(b"<script") == 2
    # behind a proxy that takes a prefix off
    found = [urljoin("/prefix/p/reference", (script or link).decode()) for script, link in parts]
    files = [await read(edge, path.removeprefix("/prefix")) for path in found if path.startswith("/prefix/")]
    assert len(files) == len(parts) == 4
    assert all(one.startswith(b"HTTP/1.1 200 ") for one in files)
    # releases before 5 say that they cannot render a description of 3.1
    assert any(b"isOAS31" in one for one in files)


def test_description_of_a_version_that_was_replaced_is_kept_no_longer() -> None:
    routes = EdgeRoutes()
    pages = Pages(routes)
    for version in range(1, 4):
        document = {**DOCUMENT, "version": f"{version}.0.0"}
        routes.take([ProjectVersion(project="p", version=version, document=document, files={}, time=0)])
        for _ in range(2):
            page: Any = pages.answer("/p/openapi.json")
            assert json.loads(page.body)["info"]["version"] == f"{version}.0.0"
    assert len(pages._documents) == 1


def test_descriptions_of_the_projects_that_were_asked_for_last_are_kept_and_nothing_else_of_them(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_DOCUMENTS", 3)
    routes = EdgeRoutes()
    pages = Pages(routes)
    for name in ("a", "b", "c", "a", "d"):
        routes.take([ProjectVersion(project=name, version=1, document={**DOCUMENT, "name": name}, files={}, time=0)])
        assert pages.answer(f"/{name}/openapi.json") is not None
    assert list(pages._documents) == ["c", "a", "d"]
    assert all(isinstance(version, int) for version, _ in pages._documents.values())


async def test_edge_that_stops_leaves_new_calls_to_others(edge: Edge) -> None:
    call = HEAD + b"Content-Length: 0\r\n\r\n"
    idle, busy, new = [await edge.connect() for _ in range(3)]
    for number, (_, writer) in enumerate((idle, busy)):
        writer.write(call)
        await eventually(lambda number=number: len(edge.outbox.sent) > number, every_s=0.005)
        if writer is idle[1]:
            edge.reply(status=200, body=b"1")
            await idle[0].readuntil(b"\r\n\r\n1")
    stopping = asyncio.create_task(edge.http.stop())
    assert await asyncio.wait_for(idle[0].read(), 0.5) == b"", "its next call is for another instance"
    with pytest.raises(ConnectionRefusedError):
        await edge.connect()
    new[1].write(call)
    told = await asyncio.wait_for(new[0].read(), 0.5)
    edge.reply(status=200, body=b"1")
    answered = await asyncio.wait_for(busy[0].read(), 0.5)
    await stopping
    for (_, writer), answer, status in ((new, told, b"503"), (busy, answered, b"200"), (idle, None, None)):
        writer.close()
        assert answer is None or (answer.split()[1], b"\r\nConnection: close\r\n" in answer) == (status, True)


async def test_edge_that_stops_ends_connections_of_pools_with_an_answer_first() -> None:
    edge, call = Edge(parting_ms=150), HEAD + b"Content-Length: 0\r\n\r\n"
    await edge.listen()
    used, unused = [await edge.connect() for _ in range(2)]
    for number, (_, writer) in enumerate((used, unused), 1):
        writer.write(call)
        await eventually(lambda number=number: len(edge.outbox.sent) == number, every_s=0.005)
        edge.reply(status=200, body=b"1")
    for reader, _ in (used, unused):
        assert b"Connection: close" not in await reader.readuntil(b"\r\n\r\n1")
    stopping = asyncio.create_task(edge.http.stop())
    await asyncio.sleep(0.03)
    late = await edge.connect()
    for number, (reader, writer) in enumerate((used, late), 3):
        writer.write(call)
        await eventually(lambda number=number: len(edge.outbox.sent) == number, every_s=0.005)
        edge.reply(status=200, body=b"1")
        answered = await asyncio.wait_for(reader.read(), 0.5)
        assert (answered.split()[1], b"\r\nConnection: close\r\n" in answered) == (b"200", True)
    assert not stopping.done()
    assert await asyncio.wait_for(unused[0].read(), 0.5) == b""
    await stopping
    with pytest.raises(ConnectionRefusedError):
        await edge.connect()
    for _, writer in (used, unused, late):
        writer.close()


async def test_nothing_is_done_for_a_caller_that_has_gone_while_it_stood_in_line(edge: Edge) -> None:
    edge.gate._places = 0
    _, writer = await edge.connect()
    writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
    await eventually(lambda: edge.gate.in_line, every_s=0.005)
    writer.transport.abort()
    assert edge.http._runner is not None
    server: Any = edge.http._runner.server
    await eventually(lambda: server.connections[0].is_half, every_s=0.005)
    edge.gate._places = 9
    edge.gate._let_in(hurried=False)
    await eventually(lambda: edge.counted, within_s=2, every_s=0.005)
    assert [(one.status, one.reason) for one in edge.counted] == [(499, "client-gone")]
    assert (edge.outbox.sent, edge.gate._inside) == ([], 0)
