"""Explain, matrix and replay run the checks that decide."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from shared.contracts.config import Client
from shared.contracts.request import RequestRecord
from shared.contracts.signal import Signal
from shared.decision.amounts import Amounts
from shared.decision.book import PolicyBook
from shared.decision.callers.identity import Identity
from shared.decision.case import Case
from shared.decision.decide import decide
from shared.decision.explain import Finding, after_amounts, before_amounts
from shared.decision.matrix import matrix
from shared.decision.replay import Replay
from shared.decision.vault import Vault
from shared.errors import WeirError
from shared.names import topics
from shared.names.reasons import Reason
from shared.project.modes import EXECUTIONS, RESULTS
from tests.support.callers import ISSUER, SCHEME
from tests.support.calls import NOW, OPERATIONS, SEAL, book, case

POLICIES: list[dict[str, Any]] = [
    {"name": "inside", "action": "reject", "operations": ["make-*"], "rules": [{"ip": {"not_in": ["10.0.0.0/8"]}}]},
    {"name": "writers", "action": "reject", "operations": ["make-*"], "rules": [{"role": {"is_not": "editor"}}]},
    {"name": "watched", "action": "reject", "mode": "observe", "rules": [{"when": "header.x == 'y'"}]},
    {"name": "fair", "action": "accept", "limits": [{"limit": 2, "per": "minute"}, {"concurrent": 3, "by": "project"}]}]


NOBODY = [{"name": "nobody", "action": "reject"}]


def replaying(draft: list[dict[str, Any]], live: PolicyBook | None = None) -> Replay:
    live, guarded = live or book([]), book(draft).project("p")
    assert guarded is not None
    return Replay(live, live.with_project(guarded))


def explained_here(known: PolicyBook, client: str | None, looked: Case) -> tuple[list[Finding], WeirError | None]:
    assumed = None if client is None else Identity(client=client, roles=known.roles("p", client))
    findings, refusal = before_amounts(looked, assumed)
    if refusal is None:
        looked.outcomes = Amounts().spend([looked.ask("r")], NOW * 1000)[0]
        rest, refusal = after_amounts(looked)
        findings += rest
    return findings, refusal


def explained(policies: list[dict[str, Any]], client: str | None = None, **call: Any) -> tuple[list[Finding], str]:
    known = book(policies, auth=call.pop("auth", "token"))
    findings, refusal = explained_here(known, client, case(known, **call))
    return findings, "ok" if refusal is None else str(refusal.reason)


def test_each_check_is_told_in_order_with_what_it_saw() -> None:
    findings, end = explained(POLICIES, "c", operation="make-thing")
    assert end == "ok"
    assert [(found.check, found.verdict) for found in findings] == [
        ("deadline", "passed"), ("route", "passed"), ("caller", "passed"), ("signals", "passed"),
        ("policy inside", "does not hold"),
        ("policy writers", "does not hold"), ("policy watched", "holds"), ("policy fair", "holds"),
        ("policies", "passed"), ("idempotency", "passed"), ("limit fair", "left"),
        ("limit fair-2", "left"), ("limits", "passed"), ("allowance", "passed"), ("form", "passed"),
        ("input", "passed")]
    by_name = {found.check: found for found in findings}
    assert by_name["policy inside"].saw == "ip: 10.1.2.3 (does not hold)"
    assert "has no value" in by_name["policy watched"].saw
    assert by_name["policy watched"].why == "reject, only observes"
    assert by_name["caller"].saw == "client c, roles editor, reader"
    assert by_name["limit fair"].saw == "1 of 2 left, the call costs 1"


def test_policy_whose_limits_count_a_call_that_it_does_not_accept_is_told_with_why() -> None:
    few = {"name": "few", "action": "accept", "rules": [{"header": {"name": "x-plan", "is": "free"}}],
           "limits": [{"limit": 2, "per": "minute"}]}
    findings, _ = explained([few], "c", headers={"x-plan": "free, gold"})
    by_name = {found.check: found for found in findings}
    told = by_name["policy few"]
    assert (told.verdict, told.why) == ("does not hold", "accept, but its limits count")
    assert told.saw == "header x-plan: free, gold (a list, of which a part says so)"
    assert by_name["limit few"].saw == "1 of 2 left, the call costs 1"


def test_explanation_ends_with_the_check_that_refuses() -> None:
    findings, end = explained(POLICIES, "made", operation="make-thing")
    assert end == "access-rejected"
    assert findings[-1] == Finding("policies", "refused", "3 that reject, 1 that accept",
                                   "403 access-rejected: policy 'writers' rejects this call")


@given(st.sampled_from(["get-thing", "make-thing", "open"]), st.sampled_from(["10.1.2.3", "192.0.2.1", ""]),
       st.sampled_from(["token", "deny"]), st.booleans())
def test_explanation_ends_as_the_decision_does(operation: str, ip: str, auth: str, known: bool) -> None:
    call = {"operation": operation, "client_ip": ip, **({} if known else {"token": None})}
    decision = decide(case(book(POLICIES, auth=auth), **call), Amounts())
    assert explained(POLICIES, auth=auth, **call)[1] == str(decision.reason)


RULES: list[dict[str, Any]] = [
    {"authenticated": True}, {"authenticated": False}, {"role": "editor"}, {"role": {"is_not": "editor"}},
    {"client": "c"}, {"client": {"not_in": ["c"]}}, {"ip": ["10.0.0.0/8"]}, {"ip": {"not_in": ["0.0.0.0/0", "::/0"]}},
    {"header": {"name": "X-A", "is": "b"}}, {"header": {"name": "x-a", "is_not": "b"}},
    {"header": {"name": "x-a", "exists": False}}, {"query": {"name": "q", "matches": "^a"}},
    {"body": {"at": "/a", "is": 1}}, {"body": {"at": "/a", "exists": True}}, {"method": "GET"}, {"size": {">": 3}},
    {"time": {"zone": "Europe/Berlin", "from": "08:00", "to": "23:00"}}, {"when": "body.a == 1"},
    {"when": "header['x-a'] == 'a' || 'editor' in roles"}, {"when": "client == 'c'"}]
ANY_POLICIES = st.lists(st.fixed_dictionaries({
    "action": st.sampled_from(["accept", "reject"]), "mode": st.sampled_from(["enforce", "observe"]),
    "rules": st.lists(st.sampled_from(RULES), min_size=1, max_size=2),
    "operations": st.sampled_from([["*"], ["get-*"], ["make-thing", "open"]])}), max_size=3)
CALLS = st.lists(st.fixed_dictionaries({
    "operation": st.sampled_from(["get-thing", "make-thing", "open"]), "key": st.sampled_from([None, "k", ""]),
    "client_ip": st.sampled_from(["10.1.2.3", "192.0.2.1", "::1", ""]),
    "headers": st.sampled_from([{}, {"x-a": "a"}, {"x-a": "b"}, {"x-a": "a, b"}]),
    "query": st.sampled_from([{}, {"q": ["a"]}, {"q": ["b", "a"]}]),
    "body": st.sampled_from([b"", b'{"a":1}', b'{"a":2,"a":1}', b"[1]", b"nope"])}), min_size=1, max_size=8)
LIMITS = [{"limit": 3, "per": "minute", "by": "ip", "cost": "int(body.a)"}, {"limit": 9, "per": "day", "cost": "size"}]


@settings(max_examples=200)
@given(ANY_POLICIES, CALLS, st.sampled_from(["token", "deny"]), st.booleans())
def test_whatever_policies_say_explain_and_matrix_say_what_is_decided(
        policies: list[dict[str, Any]], calls: list[dict[str, Any]], auth: str, named: bool) -> None:
    written = [{"name": f"p{number}", **one, **({"limits": LIMITS} if one["action"] == "accept" and not number else {})}
               for number, one in enumerate(policies)]
    more = {"headers": [{"require": ["x-a"]}], "bounds": [{"body": 12, "duplicate_keys": False}], "auth": auth}
    known = book(written, **more)
    guarded = known.project("p")
    assert guarded is not None
    cells = {(cell.operation, cell.client): cell.may for cell in matrix(guarded, known.clients("p"))}
    for call in calls:
        decided = case(known, **call, **({} if named else {"token": None}))
        decision = decide(decided, Amounts())
        findings, refusal = explained_here(known, "c" if named else None, looked := case(known, **call, token=None))
        assert str(refusal) == str(decision.refusal)
        assert looked.observed == decided.observed
        assert (findings[-1].verdict == "refused") is (decision.refusal is not None)
        refused = decision.reason in (Reason.ACCESS_REJECTED, Reason.CREDENTIALS_MISSING)
        assert cells[call["operation"], "c" if named else ""] in (("no", "depends") if refused else ("yes", "depends"))


@pytest.mark.parametrize(("auth", "cells"), [
    ("token", {("get-thing", ""): "no", ("get-thing", "c"): "yes", ("make-thing", "c"): "depends",
               ("make-thing", "made"): "no", ("open", ""): "yes"}),
    ("deny", {("get-thing", "c"): "yes", ("make-thing", "c"): "depends", ("open", ""): "yes"})])
def test_matrix_says_who_may_call_what(auth: str, cells: dict[tuple[str, str], str]) -> None:
    known = book(POLICIES, auth=auth)
    guarded = known.project("p")
    assert guarded is not None
    found = {(cell.operation, cell.client): cell for cell in matrix(guarded, known.clients("p"))}
    assert {key: found[key].may for key in cells} == cells
    assert found["make-thing", "c"].why == "unless inside (ip)"
    assert found["get-thing", "c"].limits == ["2 per minute by client", "3 at the same time by project"]


def test_matrix_says_that_nobody_may_call_what_is_switched_off_and_what_no_policy_accepts() -> None:
    off = [{**OPERATIONS[0], "enabled": False}, *OPERATIONS[1:]]
    accepts = [{"name": "readers", "action": "accept", "operations": ["make-*"], "rules": [{"role": "reader"}]},
               {"name": "inside", "action": "accept", "operations": ["make-*"], "rules": [{"ip": "10.0.0.0/8"}]},
               {"name": "tried", "action": "accept", "mode": "observe"}]
    known = book(accepts, auth="deny", operations=off, clients=[{"name": "c", "roles": ["reader"]}, {"name": "d"}])
    guarded = known.project("p")
    assert guarded is not None
    found = {(cell.operation, cell.client): (cell.may, cell.why) for cell in matrix(guarded, known.clients("p"))}
    assert {found["get-thing", client] for client in ("c", "d", "")} == {("no", "the operation is switched off")}
    assert found["make-thing", "c"] == ("yes", "")
    assert found["make-thing", "d"] == ("depends", "if inside (ip)")
    assert (found["make-thing", ""][0], found["open", ""]) == ("no", ("yes", ""))
    none = book([], auth="deny").project("p")
    assert none is not None
    assert {cell.may for cell in matrix(none, known.clients("p")) if cell.operation == "make-thing"} == {"no"}


def test_limits_are_told_with_what_is_left_and_those_that_only_observe_as_such_and_in_no_matrix() -> None:
    limits = [{"name": "hard", "limit": 1, "per": "minute"},
              {"name": "soft", "limit": 1, "per": "hour", "mode": "observe"}]
    known, amounts = book([{"name": "fair", "action": "accept", "limits": limits}]), Amounts()
    told = []
    for request_id in "ab":
        looked = case(known, request_id=request_id)
        assert before_amounts(looked, None)[1] is None
        looked.outcomes = amounts.spend([looked.ask(request_id)], NOW * 1000)[0]
        told += [(one.check, one.verdict, one.saw, one.why) for one in after_amounts(looked)[0]
                 if one.check.startswith("limit ")]
    assert told == [
        ("limit hard", "left", "0 of 1 left, the call costs 1", ""),
        ("limit soft", "left", "0 of 1 left, the call costs 1", "only observes"),
        ("limit hard", "spent", "0 of 1 left, the call costs 1", "wait 63000 ms"),
        ("limit soft", "spent", "0 of 1 left, the call costs 1", "wait 3780000 ms, only observes")]
    guarded = known.project("p")
    assert guarded is not None
    assert {tuple(cell.limits) for cell in matrix(guarded, {"c": frozenset()}) if cell.may == "yes"} == {
        ("1 per minute by client",)}


def test_clients_of_a_project_are_its_own() -> None:
    known = book([])
    known.take([Client(project="q", name="else", roles=["reader"], time=0)])
    assert known.clients("p") == {"c": {"reader", "editor"}, "made": {"reader"}}
    assert known.clients("q") == {"else": {"reader"}}


@given(st.lists(st.tuples(st.sampled_from(["get-thing", "make-thing", "open"]), st.booleans(),
                          st.sampled_from(["10.1.2.3", "192.0.2.1"])), max_size=20))
def test_matrix_never_contradicts_a_decision(calls: list[tuple[str, bool, str]]) -> None:
    known = book(POLICIES)
    guarded = known.project("p")
    assert guarded is not None
    cells = {(cell.operation, cell.client): cell.may for cell in matrix(guarded, known.clients("p"))}
    for operation, named, ip in calls:
        call = case(known, operation, client_ip=ip, **({} if named else {"token": None}))
        admitted = decide(call).refusal is None
        assert cells[operation, "c" if named else ""] in (("yes", "depends") if admitted else ("no", "depends"))


@pytest.mark.parametrize(("kinds", "may"), [
    (["signature"], {"c": "depends", "made": "depends", "till": "yes", "depot": "depends", "": "no"}),
    (["certificate"], {"c": "depends", "till": "depends", "depot": "yes"}),
    (["signature", "certificate"], {"c": "depends", "till": "yes", "depot": "yes"}),
    (["signature", "token"], {"c": "yes", "made": "yes", "till": "yes"}), (["api_key"], {"c": "yes"})])
def test_matrix_says_who_has_no_proof_that_the_operation_takes(
        kinds: list[str], may: dict[str, str]) -> None:
    known = book([], clients=[{"name": name} for name in ("c", "till", "depot")], authentication={
        "api_key": {"header": "x-key"}, "signature": [{"client": "till", "secret": "TILL"}],
        "certificate": {"CN=depot": "depot"}}, operations=[{**one, "authentication": kinds} for one in OPERATIONS])
    guarded = known.project("p")
    assert guarded is not None
    found = {(cell.operation, cell.client): cell for cell in matrix(guarded, known.clients("p"))}
    assert {client: found["get-thing", client].may for client in may} == may
    assert {found["open", client].may for client in may} == {"yes"}
    assert (may["c"] == "depends") is found["get-thing", "c"].why.startswith("on the internal topic alone")


def test_replay_tells_what_a_draft_would_change_with_the_clock_of_the_records() -> None:
    live = book(POLICIES)
    draft = book([{"name": "fair", "action": "accept", "limits": [{"limit": 1, "per": "minute"}]},
                  {"name": "no-more", "action": "reject", "operations": ["open"]}]).project("p")
    assert draft is not None
    replay = Replay(live, live.with_project(draft))
    times = (0, 1000, 2000, 120_000)
    for number, after_ms in enumerate(times):
        replay.take(case(live, request_id=f"r{number}").request, topics.REQUESTS_EDGE, NOW + after_ms)
    replay.take(case(live, "make-thing", client_ip="192.0.2.1", request_id="m").request, topics.REQUESTS_EDGE, NOW)
    replay.take(case(live, "open", token=None, request_id="o").request, topics.REQUESTS_EDGE, NOW)
    doc = replay.to_doc()
    assert (doc["requests"], doc["admitted_before"], doc["admitted_after"]) == (6, 4, 2)
    assert {(one["change"], one["client"], one["before"], one["after"], tuple(one["samples"]))
            for one in doc["changes"]} == {
        ("newly refused", "c", "ok", "rate-limited (fair)", ("r1",)),
        ("newly refused", "", "ok", "access-rejected (no-more)", ("o",)),
        ("refused for another reason", "c", "access-rejected (inside)", "rate-limited (fair)", ("m",))}


def test_replay_does_not_know_whom_a_limit_of_calls_at_the_same_time_would_refuse() -> None:
    few = {"name": "few", "action": "accept", "limits": [{"concurrent": 3, "by": "project"}]}
    replay = replaying([few, {"name": "fair", "action": "accept", "limits": [{"limit": 8, "per": "hour"}]}])
    for number in range(10):
        replay.take(case(replay.live, request_id=f"r{number}").request, topics.REQUESTS_EDGE, NOW + 1000 * number)
    doc = replay.to_doc()
    assert doc["undecidable"] == [
        {"operation": "get-thing", "why": "limit 'few' goes by how long other calls ran, which is not known",
         "requests": 5, "samples": ["r3", "r4", "r5", "r6", "r7"]}]
    assert [(one["after"], one["samples"]) for one in doc["changes"]] == [("rate-limited (fair)", ["r8", "r9"])]
    assert (doc["admitted_before"], doc["admitted_after"]) == (5, 3)
    same = replaying([few, *NOBODY], book([few]))
    for number in range(5):
        same.take(case(same.live, request_id=f"r{number}").request, topics.REQUESTS_EDGE, NOW)
    assert [one["requests"] for one in same.to_doc()["changes"]] == [3]
    unchanged = replaying([few], book([few]))
    for number in range(5):
        unchanged.take(case(unchanged.live, request_id=f"r{number}").request, topics.REQUESTS_EDGE, NOW)
    assert (unchanged.to_doc()["changes"], unchanged.to_doc()["undecidable"]) == ([], [])


def test_replay_can_decide_all_where_a_limit_of_calls_at_the_same_time_only_observes() -> None:
    replay = replaying([{"name": "few", "action": "accept", "mode": "observe", "limits": [
        {"concurrent": 1, "by": "project"}]}])
    for number in range(3):
        replay.take(case(replay.live, request_id=f"r{number}").request, topics.REQUESTS_EDGE, NOW)
    doc = replay.to_doc()
    assert (doc["undecidable"], doc["changes"], doc["admitted_after"]) == ([], [], 3)


def test_replay_tells_what_a_project_would_let_in_that_is_not_in_force() -> None:
    replay = replaying([], PolicyBook())
    replay.take(case(replay.live, "open", token=None).request, topics.REQUESTS_EDGE, NOW)
    assert [(one["change"], one["before"], one["after"]) for one in replay.to_doc()["changes"]] == [
        ("newly admitted", "operation-not-found", "ok")]


def test_replay_knows_that_whoever_asks_for_a_result_is_gone_at_once() -> None:
    few = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}
    replay = replaying(NOBODY, book([few]))
    for number in range(3):
        replay.take(case(replay.live, RESULTS.name, request_id=f"r{number}", path=f"{EXECUTIONS}x").request,
                    topics.REQUESTS_EDGE, NOW)
    doc = replay.to_doc()
    assert ([one["requests"] for one in doc["changes"]], doc["undecidable"]) == ([3], [])


def test_replay_misses_what_either_of_both_versions_needs() -> None:
    jwt = {"jwt": [SCHEME]}
    for live, draft in (({}, jwt), (jwt, {})):
        here, new = (book([], Vault(seal=SEAL), authentication=one) for one in (live, draft))
        guarded = new.project("p")
        assert guarded is not None
        replay = Replay(here, here.with_project(guarded))
        replay.take(case(here, token=None, sealed={"jwt": ISSUER.token(NOW)}).request, topics.REQUESTS_EDGE, NOW)
        assert [one["requests"] for one in replay.to_doc()["undecidable"]] == [1]
    few = [{"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}]
    for replay in (replaying(few), replaying([], book(few))):
        for request_id in "ab":
            replay.take(case(replay.live, request_id=request_id).request, topics.REQUESTS_EDGE, NOW)
        assert ["'few'" in one["why"] for one in replay.to_doc()["undecidable"]] == [True]


def test_replay_tells_calls_from_inside_apart_that_have_no_id() -> None:
    few = replaying([{"name": "few", "action": "accept", "limits": [{"concurrent": 3, "by": "project"}]}])
    call = structs.replace(case(few.live).request, request_id=None)
    for _ in range(5):
        few.take(call, topics.REQUESTS_INTERNAL, NOW)
    assert [one["requests"] for one in few.to_doc()["undecidable"]] == [2]


def test_replay_gives_the_first_answer_again_to_a_call_that_was_asked_before() -> None:
    replay = replaying([{"name": "fair", "action": "accept", "limits": [{"limit": 2, "per": "minute"}]}])

    def take(request_id: str, key: str, body: bytes = b"", after_ms: int = 0) -> None:
        request = case(replay.live, "make-thing", request_id=request_id, key=key, body=body).request
        replay.take(request, topics.REQUESTS_EDGE, NOW + after_ms)
    for number in range(5):
        take(f"r{number}", "same")
    take("else", "same", b"{}")
    assert (replay.to_doc()["changes"], dict(replay.admitted)) == ([], {"before": 5, "after": 5})
    take("second", "other")
    take("third", "new")
    take("again", "new", after_ms=90_000)
    assert [one["samples"] for one in replay.to_doc()["changes"]] == [["third"]], "who is refused leaves its key free"
    take("a day later", "same", after_ms=86_400_000)
    take("much later", "same", b"{}", after_ms=86_400_001)
    assert dict(replay.admitted) == {"before": 9, "after": 8}


def test_replay_knows_of_a_block_from_when_it_was_made() -> None:
    live = book([])
    live.signals.take([Signal(project="p", kind="client", subject="c", action="block", until=NOW + 3_600_000, time=NOW,
                              detector="scan")])
    replay = replaying(NOBODY, live)
    for time_ms in (NOW - 7_200_000, NOW):
        replay.take(case(live).request, topics.REQUESTS_EDGE, time_ms)
    assert [(one["before"], one["after"], one["requests"]) for one in replay.to_doc()["changes"]] == [
        ("ok", "access-rejected (nobody)", 1)]
    assert replay.admitted["before"] == 1


def test_replay_leads_a_call_to_what_the_draft_has_at_its_path() -> None:
    live = book([])
    draft = book([], operations=[{**OPERATIONS[0], "name": "find-thing", "path": "/things/{key}"},
                                 {**OPERATIONS[1], "path": "/new-things"}, {**OPERATIONS[2], "method": "PUT"}],
                 ).project("p")
    assert draft is not None
    replay = Replay(live, live.with_project(draft))
    for operation in ("get-thing", "make-thing", "open"):
        replay.take(case(live, operation, request_id=operation).request, topics.REQUESTS_EDGE, NOW)
        replay.take(structs.replace(case(live, operation, request_id=f"{operation}, inside").request, http=None),
                    topics.REQUESTS_INTERNAL, NOW)
    assert {(one["after"], *one["samples"]) for one in replay.to_doc()["changes"]} == {
        ("operation-not-found", "make-thing"), ("method-not-allowed", "open"),
        ("operation-not-found", "get-thing, inside")}


def test_replay_names_the_operation_of_a_call_by_method_and_path() -> None:
    replay = replaying(NOBODY)
    replay.take(RequestRecord(project="p", method="GET", path="/open"), topics.REQUESTS_INTERNAL, NOW)
    assert [one["operation"] for one in replay.to_doc()["changes"]] == ["open"]
