"""Who calls, as far as the edge can know."""

from typing import Any

import pytest

from services.ingress.callers import Callers
from services.ingress.routes import EdgeRoutes
from services.ingress.settings import IngressSettings
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


@pytest.mark.parametrize(("shown", "blocked"), [
    (GOOD, True), (f"{UNKNOWN} {GOOD}", True), (f"{REVOKED} {GOOD}", True), (f"{OTHER} {GOOD}", True),
    (f"{GOOD} {REVOKED}", True), (REVOKED, False), (UNKNOWN, False), (None, False)])
def test_client_of_the_token_that_counts_is_blocked_whatever_is_shown_beside_it(
        shown: str | None, blocked: bool) -> None:
    routes, board = EdgeRoutes(), SignalBoard()
    routes.take([ProjectVersion(project="p", version=1, document=DOCUMENT, files={}, time=0), token(GOOD),
                 token(REVOKED, revoked=1), token(OTHER, project="q")])
    board.take([Signal(project="p", kind="client", subject="client-b", action="block", time=NOW, until=NOW + 1_000,
                       detector="scan")])
    target = routes.find("GET", "p", "/a")
    visit = Visit("r", "GET", "/p/a", "p", "/a", None, TraceContext.new(sampled=False), 0, target)
    found = Callers(IngressSettings(), routes, board).blocked_by(visit, target, shown, "192.0.2.1", NOW)
    assert (found is not None) is blocked
    assert (visit.caller is not None and visit.caller.id == "id-b") is blocked
