"""What those are told who were refused and come again: the same, as long as it is so, and each is counted."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from services.ingress.again import Again
from services.ingress.callers import Callers
from services.ingress.doorstep import Connection, Heads, Plain, Server
from services.ingress.edge_usage import EdgeUsage
from services.ingress.endings import Endings
from services.ingress.gate import LEAST, Gate
from services.ingress.routes import EdgeRoutes
from services.ingress.settings import IngressSettings
from services.ingress.traces import EdgeTraces
from services.ingress.visit import Visit
from shared.contracts.config import ProjectVersion
from shared.contracts.signal import Signal
from shared.contracts.traceparent import TraceContext
from shared.contracts.usage import UsageEvent
from shared.decision.signals import SignalBoard
from shared.errors import Unavailable
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics
from shared.telemetry.sampling import Sampler
from shared.telemetry.tracing import Tracing
from tests.support.fakes import StoppedClock
from tests.unit.services.ingress.test_message import Wire, settled

ASKED = b"GET /p/a HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\r\n"
DOCUMENT = {"name": "p", "workflows": {"w": {"name": "w", "steps": [{"id": "a", "reply": {}}]}},
            "operations": [{"name": "o", "method": "GET", "path": "/a", "workflow": "w"}],
            "cors": [{"origins": ["https://a.example"]}], "headers": [{"answer": {"set": {"X-Served-By": "weir"}}}]}


class Edge:
    """All that a refusal touches, without Kafka; the one caller's address is 192.0.2.1."""

    def __init__(self) -> None:
        self.clock, self.board, self.counted, self.away = StoppedClock(), SignalBoard(), list[UsageEvent](), False
        self.routes, self.heads = EdgeRoutes(), Heads()
        self.routes.take([ProjectVersion(project="p", version=1, document=DOCUMENT, files={}, time=0)])
        self.gate = Gate(self.clock, most=2 * LEAST, target_ms=100, patience_ms=1_000)
        callers = Callers(IngressSettings(), self.routes, self.board)
        traces = EdgeTraces(Tracing("ingress", "i"), Sampler(self.clock, ratio=0, max_per_s=0), self.clock, 1_000)
        envelopes: Any = SimpleNamespace(add=self.counted.append)
        caller: Any = SimpleNamespace(check=self._check)
        self.again = Again(
            clock=self.clock, routes=self.routes, caller=caller, gate=self.gate, callers=callers, traces=traces,
            heads=self.heads, endings=Endings(
                clock=self.clock, routes=self.routes, metrics=Metrics(muted=True), traces=traces,
                usage=EdgeUsage(envelopes, self.clock, keep_addresses=True), access=AccessLog(0)))

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the broker is away")

    async def refuse(self, request: web.BaseRequest) -> web.StreamResponse:
        """As the door does."""
        target = self.routes.find("GET", "p", "/a")
        self.again.know(request, Visit("r", "GET", "/p/a", "p", "/a", None, TraceContext.new(sampled=False), 0, target))
        return web.Response(status=403)

    async def known(self) -> None:
        """The head has been refused once."""
        connection: Connection = Server(self.refuse, self.heads)()
        connection.connection_made(Wire())
        await settled()
        connection.data_received(ASKED)
        await settled()
        connection.force_close()
        connection.connection_lost(None)
        await settled()

    def come(self) -> bytes | None:
        """The same caller again."""
        again = self.heads.find(ASKED, b"192.0.2.1")
        assert again is not None
        return again()

    def block(self, for_ms: int) -> None:
        """By address."""
        self.board.take([Signal(project="p", kind="ip", subject="192.0.2.1", action="block", time=self.clock.now,
                                until=self.clock.now + for_ms, detector="scan")])

    async def crowd(self) -> None:
        """As many are under way as may be."""
        for _ in range(2 * LEAST):
            await self.gate.enter()


@pytest.fixture
async def edge() -> Edge:
    made = Edge()
    await made.known()
    return made


def problem(answer: bytes | None) -> tuple[bytes, dict[str, str], dict[str, Any]]:
    assert answer is not None
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return status, dict(line.decode().split(": ", 1) for line in lines), json.loads(body)


async def test_blocked_caller_is_told_each_time_under_an_id_of_its_own_and_counted(edge: Edge) -> None:
    edge.block(10_000)
    seen = [problem(edge.come()) for _ in range(3)]
    ids = [body["request_id"] for _, _, body in seen]
    assert len(set(ids)) == 3
    for status, headers, body in seen:
        assert status == b"HTTP/1.1 403 Forbidden"
        assert (headers["X-Request-Id"], headers["Retry-After"]) == (body["request_id"], "10")
        assert (headers["Access-Control-Allow-Origin"], headers["x-served-by"]) == ("https://a.example", "weir")
        assert int(headers["Content-Length"]) > 0
    assert [(event.id, event.reason, event.operation, event.address) for event in edge.counted] == [
        (one, "blocked", "o", "192.0.2.1") for one in ids]


async def test_words_are_made_anew_after_a_moment(edge: Edge) -> None:
    edge.block(10_000)
    edge.come()
    edge.clock.now += 1_200
    assert problem(edge.come())[1]["Retry-After"] == "9"
    edge.clock.now += 8_900
    assert edge.come() is None, "the block is over"


async def test_lifted_block_is_told_no_longer_than_a_moment(edge: Edge) -> None:
    edge.block(10_000)
    edge.come()
    edge.board.take([Signal(project="p", kind="ip", subject="192.0.2.1", action="unblock", time=edge.clock.now,
                            until=0, detector="scan")])
    edge.clock.now += 200
    assert edge.come() is None


async def test_crowd_is_a_refusal_until_a_place_is_free(edge: Edge) -> None:
    assert edge.come() is None, "there is room"
    await edge.crowd()
    for _ in range(2):
        status, headers, body = problem(edge.come())
        assert status == b"HTTP/1.1 503 Service Unavailable"
        assert (body["code"], headers["Retry-After"]) == ("overloaded", "1")
    edge.gate.leave()
    assert edge.come() is None, "at once, whatever was said a moment ago"
    assert [event.status for event in edge.counted] == [503, 503]


async def test_while_nobody_can_come_in_any_caller_is_refused(edge: Edge) -> None:
    edge.block(10_000)
    assert not edge.again.crowded()
    await edge.crowd()
    assert edge.again.crowded()
    for address in ("192.0.2.1", "192.0.2.2"):
        status, headers, body = problem(edge.again.stranger(Plain("GET", "/p/a", "https://a.example", ""), address))
        assert (status, body["code"]) == (b"HTTP/1.1 503 Service Unavailable", "overloaded")
        assert headers["Access-Control-Allow-Origin"] == "https://a.example"
    _, headers, _ = problem(edge.again.stranger(Plain("GET", "/p/a", None, ""), "192.0.2.2"))
    assert "Access-Control-Allow-Origin" not in headers
    assert [(event.operation, event.address) for event in edge.counted] == [
        ("o", "192.0.2.1"), ("o", "192.0.2.2"), ("o", "192.0.2.2")]
    for path in ("/-/health", "/p/openapi.json", "/p/reference", "/p/nothing", "/q/a"):
        assert edge.again.stranger(Plain("GET", path, None, ""), "192.0.2.1") is None, "that is no matter of places"
    edge.gate.leave()
    assert edge.again.stranger(Plain("GET", "/p/a", None, ""), "192.0.2.1") is None, "a block is for who is known"
    for _ in range(6):
        await asyncio.sleep(0)
    assert [edge.again.crowded() for _ in range(2)] == [False, True], "the first is on its way to the last place"


@pytest.mark.parametrize(("settings", "remote", "address"), [
    ({}, "192.0.2.1", "192.0.2.1"),
    ({"trusted_proxies": ("192.0.2.0/24",)}, "192.0.2.1", "198.51.100.7"),
    ({"trusted_proxies": ("10.0.0.0/8",)}, "192.0.2.1", "192.0.2.1"),
    ({"trusted_proxies": ("192.0.2.0/24",), "forwarded_by": "forwarded"}, "192.0.2.1", None)])
def test_address_of_a_stranger_is_the_one_that_a_request_would_have(
        settings: dict[str, Any], remote: str, address: str | None) -> None:
    callers = Callers(IngressSettings(**settings), EdgeRoutes(), SignalBoard())
    assert callers.address_of(remote, "6.6.6.6, 198.51.100.7") == address


async def test_last_place_is_taken_by_the_first_who_is_on_its_way(edge: Edge) -> None:
    await edge.crowd()
    edge.come()
    edge.gate.leave()
    assert edge.come() is None, "it may come in"
    for _ in range(3):
        assert problem(edge.come())[2]["code"] == "overloaded"
    assert [event.reason for event in edge.counted] == ["overloaded"] * 4


async def test_what_needs_another_answer_is_read(edge: Edge) -> None:
    edge.block(10_000)
    edge.routes.take([ProjectVersion(project="p", version=2, files={}, time=0, document={
        **DOCUMENT, "operations": [{"name": "o", "method": "GET", "path": "/b", "workflow": "w"}]})])
    assert edge.come() is None
    assert edge.counted == []


async def test_nothing_is_read_while_nothing_can_be_published(edge: Edge) -> None:
    edge.away = True
    for _ in range(2):
        status, _, body = problem(edge.come())
        assert (status, body["code"], body["detail"]) == (
            b"HTTP/1.1 503 Service Unavailable", "unavailable", "the broker is away")
    edge.away = False
    edge.clock.now += 200
    assert edge.come() is None, "a moment later"
    assert [event.reason for event in edge.counted] == ["unavailable", "unavailable"]
