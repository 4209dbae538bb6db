"""Every answer that a decision can give: status, code, headers; one row each. And those that come from elsewhere."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from msgspec import structs

from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.reply import ReplyRecord, error_reply
from shared.contracts.sealed import Seal
from shared.contracts.signal import FOREVER, Signal
from shared.contracts.token import malformed
from shared.decision.amounts import UNKNOWN, Amounts, Ask
from shared.decision.book import PolicyBook
from shared.decision.case import Case
from shared.decision.checks.idempotency import may_run
from shared.decision.decide import decide, look, settle
from shared.decision.vault import Vault
from shared.errors import (
    BodyTooSlow,
    Cancelled,
    ClientGone,
    ExecutionNotFound,
    Overloaded,
    ReplyInvalid,
    StreamBroken,
    StreamNotResumable,
    TasksSpent,
    UpstreamFailed,
    WeirError,
    WorkflowFailed,
    WorkflowStopped,
)
from shared.names.reasons import Reason
from tests.support import callers
from tests.support.calls import DIGEST, NOW, SEAL, book, case
from tests.support.issuer import signed

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0aWxs"
OPERATIONS = [
    {"name": "get-thing", "method": "GET", "path": "/things/{id}", "workflow": "w", "idempotency": {"keep": "1h"}},
    {"name": "make-thing", "method": "POST", "path": "/things", "workflow": "w",
     "input": {"body": {"type": "object", "required": ["a"]}}},
    {"name": "off", "method": "GET", "path": "/off", "workflow": "w", "enabled": False}]
ACCESS: dict[str, Any] = {
    "operations": OPERATIONS, "authentication": {"signature": [{"client": "c", "secret": "TILL"}]},
    "bounds": [{"body": 20}], "headers": [{"operations": ["make-*"], "content_types": ["application/json"]}]}
REJECT = {"name": "no", "action": "reject", "rules": [{"header": {"name": "x", "is": "y"}}]}
TEAPOT = {"name": "tea", "action": "reject", "rules": [{"header": {"name": "x", "is": "tea"}}], "status": 418,
          "message": "short and stout"}
WHO = {"name": "who", "action": "reject", "rules": [{"header": {"name": "x", "is": "who"}}], "status": 401}
LIMIT = {"name": "fair", "action": "accept", "limits": [{"limit": 1, "per": "minute"}]}


def known(*signals: Signal, **more: Any) -> PolicyBook:
    made = book([REJECT, TEAPOT, WHO, LIMIT], Vault(seal=SEAL, secrets={"TILL": SECRET}), **{**ACCESS, **more})
    made.signals.take(signals)
    return made


def refused(looked: Case, amounts: Amounts | None = None) -> WeirError:
    refusal = decide(looked, amounts).refusal
    assert refusal is not None
    return refusal


def limited() -> WeirError:
    return second(known())


def spent(limit: dict[str, Any] | None = None, signal: Signal | None = None) -> WeirError:
    here = book([{"name": "fair", "action": "accept", "limits": [limit]}] if limit else [])
    here.signals.take([signal] if signal else [])
    return second(here)


def second(here: PolicyBook) -> WeirError:
    amounts = Amounts()
    assert decide(case(here, request_id="first"), amounts).refusal is None
    refusal = refused(case(here), amounts)
    assert "e+" not in str(refusal)
    return refusal


def exhausted() -> WeirError:
    here, amounts = known(allowance=[{"tasks": 2}]), Amounts()
    project = here.project("p")
    assert project is not None
    [allowance] = project.operations["get-thing"].allowances
    amounts.spend([Ask("spent", 0, [allowance.grant("c", "get-thing", NOW, None).demand(2)])], NOW * 1000)
    return refused(case(here), amounts)


def kept(digest: str | None, status: int) -> WeirError:
    looked = case(known(), key="k")
    assert look(looked) is None
    assert looked.claim is not None
    answer = KeptAnswer(request_id="first", digest=digest or looked.claim.digest, status=status)
    found = may_run(looked, "r", answer)
    assert found is not None
    return found


def once_unknown() -> WeirError:
    looked = case(known(), token=None, sealed={"signature": signed(SECRET, "m", NOW // 1000, b"")},
                  headers={"webhook-id": "m", "webhook-timestamp": str(NOW // 1000)})
    assert look(looked) is None
    looked.outcomes = [UNKNOWN, UNKNOWN]
    refusal = settle(looked).refusal
    assert refusal is not None
    return refusal


def by_path(method: str, path: str) -> WeirError:
    looked = case(known())
    for field, value in (("operation", None), ("method", method), ("path", path)):
        looked.request = structs.replace(looked.request, **{field: value})
    return refused(looked)


BLOCK = Signal(project="p", kind="client", subject="c", action="block", until=NOW + 9_500, time=NOW, detector="scan")
ROWS: list[tuple[str, Callable[[], WeirError], int, str, dict[str, str]]] = [
    ("body misfit", lambda: refused(with_type(case(known(), "make-thing", body=b"{}"), "application/json")), 400,
     "input-invalid", {}),
    ("no token", lambda: refused(case(known(), token=None)), 401, "credentials-missing",
     {"WWW-Authenticate": "Bearer"}),
    ("typing error", lambda: refused(case(known(), token=malformed("weir_x"))), 401, "credentials-invalid",
     {"WWW-Authenticate": 'Bearer error="invalid_token"'}),
    ("old message", lambda: refused(case(
        known(), token=None, sealed={"signature": signed(SECRET, "m", 5, b"")},
        headers={"webhook-id": "m", "webhook-timestamp": "5"})), 401, "credentials-expired",
     {"WWW-Authenticate": 'Bearer error="invalid_token"'}),
    ("policy", lambda: refused(case(known(), headers={"x": "y"})), 403, "access-rejected", {}),
    ("own status", lambda: refused(case(known(), headers={"x": "tea"})), 418, "access-rejected", {}),
    ("own 401", lambda: refused(case(known(), headers={"x": "who"})), 401, "access-rejected",
     {"WWW-Authenticate": "Bearer"}),
    ("signal", lambda: refused(case(known(BLOCK))), 403, "blocked", {"Retry-After": "10"}),
    ("no operation", lambda: refused(case(known(), "none")), 404, "operation-not-found", {}),
    ("other method", lambda: by_path("PUT", "/things"), 405, "method-not-allowed", {"Allow": "POST"}),
    ("other question", lambda: kept("other", 200), 409, "idempotency-mismatch", {}),
    ("still running", lambda: kept(None, 0), 409, "idempotency-running", {"Retry-After": "1"}),
    ("too large", lambda: refused(case(known(), "make-thing", body=b"x" * 21)), 413, "body-too-large", {}),
    ("not JSON", lambda: refused(with_type(case(known(), "make-thing", body=b"x"))), 415, "media-type-unsupported", {}),
    ("spent", limited, 429, "rate-limited", {
        "Retry-After": "63", "RateLimit": '"fair";r=0;t=63', "RateLimit-Policy": '"fair";q=1;w=60'}),
    ("allowance", exhausted, 429, "allowance-exhausted", {
        "Retry-After": "1218600", "Allowance": '"project";q=2;r=0;t=1218600',
        "RateLimit": '"fair";r=1;t=60', "RateLimit-Policy": '"fair";q=1;w=60'}),
    ("key that is none", lambda: refused(case(known(), key="a\n")), 400, "input-invalid", {}),
    ("key that is required", lambda: refused(case(known(operations=[{**OPERATIONS[0], "idempotency": {
        "required": True}}]))), 400, "input-invalid", {}),
    ("pinned signal", lambda: refused(case(known(replace(BLOCK, until=FOREVER)))), 403, "blocked", {}),
    ("places", lambda: spent({"concurrent": 1}), 429, "rate-limited", {"Retry-After": "1"}),
    ("spent for a month", lambda: spent({"limit": 1, "per": "month"}), 429, "rate-limited", {
        "Retry-After": "2687400", "RateLimit": '"fair";r=0;t=2687400', "RateLimit-Policy": '"fair";q=1;w=2592000'}),
    ("throttle", lambda: spent(signal=replace(BLOCK, action="throttle", rate=1)), 429, "rate-limited", {
        "Retry-After": "63", "RateLimit": '"signal-scan";r=0;t=63', "RateLimit-Policy": '"signal-scan";q=1;w=60'}),
    ("no cluster key", lambda: refused(case(book([]), sealed={"jwt": "x"}, token=None)), 503, "unavailable", {}),
    ("other cluster key", lambda: refused(case(book([], Vault(seal=Seal("B" * 43))), sealed={"jwt": "x"}, token=None)),
     503, "unavailable", {"Retry-After": "2"}),
    ("no keys yet", lambda: refused(case(callers.known(key_sets={}), token=None, sealed={
        "jwt": callers.ISSUER.token(NOW)})), 503, "unavailable", {"Retry-After": "2"}),
    ("switched off", lambda: refused(case(known(), "off")), 503, "operation-disabled", {}),
    ("store away", once_unknown, 503, "unavailable", {"Retry-After": "2"}),
    ("too late", lambda: refused(late(case(known()))), 504, "timeout", {}),
]
# no decision gives these: the edge does before there is one, or the executor after it
OTHERS: list[tuple[WeirError, int, str]] = [
    (Overloaded("no place is free"), 503, "overloaded"),
    (ExecutionNotFound("nobody's"), 404, "not-found"),
    (BodyTooSlow("not there after 60000 ms"), 408, "body-too-slow"),
    (StreamNotResumable("events are not kept"), 409, "conflict"),
    (WorkflowFailed("a step failed"), 500, "workflow-failed"),
    (WorkflowFailed("as its `fail` step says", status=422), 422, "workflow-failed"),
    (TasksSpent("a loop without an end"), 500, "tasks-spent"),
    (ReplyInvalid("not as the schema says"), 500, "reply-invalid"),
    (UpstreamFailed("no answer"), 502, "upstream-failed"),
    (StreamBroken("an event is missing"), 502, "stream-broken"),
    (WorkflowStopped("by an operator"), 503, "workflow-stopped"),
    (Cancelled("by an operator"), 503, "cancelled"),
    (ClientGone("its connection is closed"), 499, "client-gone"),
]


def with_type(looked: Case, content_type: str = "text/html") -> Case:
    looked.request = structs.replace(looked.request, content_type=content_type)
    return looked


def late(looked: Case) -> Case:
    looked.request = structs.replace(looked.request, deadline_ms=NOW)
    return looked


@pytest.mark.parametrize(("make", "status", "code", "headers"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_answer_has_its_status_code_and_headers(
        make: Callable[[], WeirError], status: int, code: str, headers: dict[str, str]) -> None:
    error = make()
    reply: ReplyRecord = error_reply(error, "r-1")
    problem = orjson.loads(reply.body)
    assert (reply.status, reply.content_type, reply.headers) == (status, "application/problem+json", headers)
    assert (problem["status"], problem["code"], problem["request_id"]) == (status, code, "r-1")
    assert problem["type"].endswith(f"/{code}")
    assert problem["title"]
    assert problem["detail"]
    assert DIGEST not in reply.body.decode()


@pytest.mark.parametrize(("error", "status", "code"), OTHERS, ids=[f"{row[2]} {row[1]}" for row in OTHERS])
def test_each_answer_that_no_decision_gives_has_its_status_and_code(error: WeirError, status: int, code: str) -> None:
    reply = error_reply(error, "r-1")
    problem = orjson.loads(reply.body)
    assert (reply.status, reply.content_type) == (status, "application/problem+json")
    assert (problem["status"], problem["code"], problem["detail"]) == (status, code, str(error))


def test_every_reason_has_its_row_in_one_of_both_tables() -> None:
    decided, others = {Reason(row[3]) for row in ROWS}, {Reason(row[2]) for row in OTHERS}
    assert decided.isdisjoint(others)
    # the one that is no refusal
    assert decided | others == set(Reason) - {Reason.OK}


@pytest.mark.parametrize(("limit", "says"), [
    ({"limit": 10, "per": "minute", "cost": "11"}, "the call costs 11, and limit 'fair' (10 per 60 s) never lets in"),
    ({"limit": 10, "per": "month", "calendar": "UTC", "cost": "11"}, "never lets in one that costs more than 10"),
    ({"limit": 60, "per": "minute", "burst": 5, "cost": "6"}, "never lets in one that costs more than 5"),
    ({"limit": 10, "per": "minute", "cost": "10"}, ""), ({"limit": 60, "per": "minute", "burst": 5, "cost": "5"}, ""),
    ({"limit": 10, "per": "minute", "smooth": True, "cost": "11"}, "never lets in one that costs more than 10")])
def test_call_that_is_never_let_in_is_not_told_to_wait(limit: dict[str, Any], says: str) -> None:
    here = book([{"name": "fair", "action": "accept", "limits": [limit]}])
    refusal = decide(case(here), Amounts()).refusal
    assert (refusal is None) == (not says)
    assert says in str(refusal)
