"""Who calls, as far as the edge can know."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from multidict import CIMultiDict

from services.ingress.callers import Callers
from services.ingress.routes import EdgeRoutes
from services.ingress.settings import IngressSettings
from services.ingress.translate import Credentials
from services.ingress.visit import Visit
from shared.contracts import token as tokens
from shared.contracts.config import ProjectVersion, Token
from shared.contracts.signal import Signal
from shared.contracts.traceparent import TraceContext
from shared.decision.signals import SignalBoard
from shared.names import topics

NOW = 1_000
DOCUMENT = {"name": "p", "workflows": {"w": {"name": "w", "steps": [{"id": "a", "reply": {}}]}},
            "operations": [{"name": "o", "method": "GET", "path": "/a", "workflow": "w"}]}
UNKNOWN, GOOD, REVOKED, OTHER = (letter * 64 for letter in "abcd")


def token(digest: str, **given: Any) -> Token:
    return Token(**{"id": f"id-{digest[0]}", "project": "p", "client": f"client-{digest[0]}", "created": 0, "digests": {
        topics.REQUESTS_EDGE: tokens.stored_digest(digest)}, **given})


class Edge:
    """Callers of a project, one of whom is blocked."""

    def __init__(self, kind: Any, subject: str, **settings: Any) -> None:
        routes, board = EdgeRoutes(), SignalBoard()
        routes.take([ProjectVersion(project="p", version=1, document=DOCUMENT, files={}, time=0), token(GOOD),
                     token(REVOKED, revoked=1), token(OTHER, project="q")])
        board.take([Signal(project="p", kind=kind, subject=subject, action="block", time=NOW, until=NOW + 1_000,
                           detector="scan")])
        self.callers, self.target = Callers(IngressSettings(**settings), routes, board), routes.find("GET", "p", "/a")

    def visit(self) -> Visit:
        return Visit("r", "GET", "/p/a", "p", "/a", None, TraceContext.new(sampled=False), 0, self.target)


def came(remote: str | None, **headers: str) -> web.BaseRequest:
    return cast(web.BaseRequest, SimpleNamespace(method="GET", remote=remote, headers=CIMultiDict(headers)))


@pytest.mark.parametrize(("shown", "blocked"), [
    (GOOD, True), (f"{UNKNOWN} {GOOD}", True), (f"{REVOKED} {GOOD}", True), (f"{OTHER} {GOOD}", True),
    (f"{GOOD} {REVOKED}", True), (REVOKED, False), (UNKNOWN, False), (None, False)])
def test_client_of_the_token_that_counts_is_blocked_whatever_is_shown_beside_it(
        shown: str | None, blocked: bool) -> None:
    edge = Edge("client", "client-b")
    visit = edge.visit()
    found = edge.callers.blocked_by(visit, edge.target, shown, "192.0.2.1", NOW)
    assert (found is not None) is blocked
    assert (visit.caller is not None and visit.caller.id == "id-b") is blocked


@pytest.mark.parametrize("shown", [REVOKED, f"{UNKNOWN} {REVOKED}", f"{REVOKED} {OTHER}"])
def test_client_is_blocked_by_a_token_that_is_no_good_too_and_nothing_counts_as_its_own(shown: str) -> None:
    edge = Edge("client", "client-c")
    visit = edge.visit()
    assert edge.callers.blocked_by(visit, edge.target, shown, "192.0.2.1", NOW) is not None
    assert visit.caller is None


@pytest.mark.parametrize(("kind", "subject", "blocked", "anybody"), [
    ("token", "id-b", True, False), ("client", "client-b", True, False), ("ip", "192.0.2.1", True, True),
    ("ip", "192.0.2.2", False, False), ("client", "client-c", False, False)])
def test_blocked_caller_is_refused_by_the_token_that_it_shows_and_by_its_address(
        kind: Any, subject: str, blocked: bool, anybody: bool) -> None:
    edge = Edge(kind, subject)
    seen = edge.callers.parts(came("192.0.2.1"), "/a", "")
    seen.found = Credentials(GOOD, {})
    for now_ms, lasts in ((NOW, True), (NOW + 1_000, False)):
        assert (edge.callers.blocked(edge.visit(), seen, edge.target, now_ms) is not None) is (blocked and lasts)
        assert (edge.callers.blocked_address(came("192.0.2.1"), "p", now_ms) is not None) is (anybody and lasts)
    owner = edge.callers.owner(seen, edge.target)
    assert owner is not None
    assert owner.id == "id-b"


PROXIES = {"trusted_proxies": ("10.0.0.0/8",), "certificate_header": "x-cert"}


@pytest.mark.parametrize(("settings", "remote", "certificate"), [
    (PROXIES, "10.0.0.1", "CN=a"), (PROXIES, "::ffff:10.0.0.1", "CN=a"), (PROXIES, "192.0.2.1", ""),
    (PROXIES, None, ""), ({"certificate_header": "x-cert"}, "10.0.0.1", ""),
    ({"trusted_proxies": ("10.0.0.0/8",)}, "10.0.0.1", "")])
def test_certificate_is_believed_of_a_trusted_proxy_alone(
        settings: dict[str, Any], remote: str | None, certificate: str) -> None:
    seen = Edge("ip", "x", **settings).callers.parts(came(remote, **{"X-Cert": "CN=a", "X-Other": "1"}), "/a", "")
    assert seen.certificate == certificate
    assert seen.headers == {"x-other": "1", **({} if "certificate_header" in settings else {"x-cert": "CN=a"})}
