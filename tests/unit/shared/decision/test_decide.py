"""Which requests may run: every refusal, and the order of the questions."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import token as tokens
from shared.contracts.config import Client, ProjectVersion, Token
from shared.contracts.request import HttpFacts, RequestRecord
from shared.decision.book import GuardedProject, PolicyBook
from shared.decision.case import Case
from shared.decision.decide import Decision, decide
from shared.names import topics
from shared.names.reasons import Reason

NOW = 1_000_000
TEXT = tokens.new_token()
DIGEST = tokens.topic_digest(TEXT, topics.REQUESTS_INTERNAL)
REPLY = [{"id": "answer", "reply": {"body": 1}}]
DOCUMENT: dict[str, Any] = {
    "name": "p", "clients": [{"name": "c"}], "workflows": {"w": {"name": "w", "steps": REPLY}},
    "operations": [
        {"name": "get", "method": "GET", "path": "/things/{id}", "workflow": "w",
         "input": {"path": {"properties": {"id": {"type": "integer"}}},
                   "query": {"properties": {"tag": {"type": "array", "items": {"type": "integer"}},
                                            "new": {"type": "boolean"}, "n": {"type": "integer"}}}}},
        {"name": "make", "method": "POST", "path": "/things", "workflow": "w",
         "input": {"body": {"type": "object", "required": ["a"], "properties": {"b": {"type": "integer"}}}}},
        {"name": "open", "method": "GET", "path": "/open", "workflow": "w", "public": True},
        {"name": "off", "method": "GET", "path": "/off", "workflow": "w", "enabled": False}]}


def book(**token: Any) -> PolicyBook:
    made = PolicyBook()
    stored = {topics.REQUESTS_INTERNAL: tokens.stored_digest(DIGEST)}
    made.take([ProjectVersion(project="p", version=3, document=DOCUMENT, files={}, time=0),
               # with a client of the same name
               ProjectVersion(project="other", version=1, document={**DOCUMENT, "name": "other"}, files={}, time=0),
               Token(**{"id": "t", "project": "p", "client": "c", "digests": stored, "created": 0, **token})])
    return made


def rule(request: dict[str, Any], known: PolicyBook | None = None) -> tuple[Decision, Case]:
    case = Case(request=RequestRecord(**{"project": "p", "token_digest": DIGEST, **request}),
                topic=topics.REQUESTS_INTERNAL, book=known or book(), now_ms=NOW)
    return decide(case), case


ENDS = [
    ({"operation": "get", "params": {"id": 5}}, Reason.OK),
    ({"method": "GET", "path": "/things/5?tag=1&tag=2"}, Reason.OK),
    ({"operation": "open", "token_digest": None}, Reason.OK),
    ({"operation": "make", "body": b'{"a":1}'}, Reason.OK),
    ({"operation": "get", "project": "q"}, Reason.OPERATION_NOT_FOUND),
    ({"operation": "gte"}, Reason.OPERATION_NOT_FOUND),
    ({"method": "GET", "path": "/thinks"}, Reason.OPERATION_NOT_FOUND),
    ({"method": "PUT", "path": "/things"}, Reason.METHOD_NOT_ALLOWED),
    ({"operation": "off"}, Reason.OPERATION_DISABLED),
    ({"operation": "get", "token_digest": None}, Reason.CREDENTIALS_MISSING),
    ({"operation": "get", "token_digest": "malformed"}, Reason.CREDENTIALS_INVALID),
    ({"operation": "get", "token_digest": "0" * 64}, Reason.CREDENTIALS_INVALID),
    ({"operation": "open", "token_digest": "0" * 64}, Reason.CREDENTIALS_INVALID),
    ({"operation": "get", "params": {"id": "x"}}, Reason.INPUT_INVALID),
    ({"operation": "make", "body": b"{"}, Reason.INPUT_INVALID),
    ({"operation": "make", "body": b""}, Reason.INPUT_INVALID),
    ({"operation": "make", "body": b"x", "content_type": "text/plain"}, Reason.MEDIA_TYPE_UNSUPPORTED),
    ({"operation": "get", "deadline_ms": NOW}, Reason.TIMEOUT),
    ({"operation": "get", "params": {"id": 5}, "deadline_ms": NOW + 1}, Reason.OK),
]


@pytest.mark.parametrize(("request_", "reason"), ENDS,
                         ids=[f"{reason} {number}" for number, (_, reason) in enumerate(ENDS)])
def test_each_request_ends_for_its_own_reason(request_: dict[str, Any], reason: Reason) -> None:
    assert rule(request_)[0].reason is reason


def test_what_is_known_of_a_token_is_not_older_than_the_book() -> None:
    known = book()
    assert rule({"operation": "get", "params": {"id": 5}}, known)[1].roles == frozenset()
    known.take([Client(project="p", name="c", roles=["reader"], time=1)])
    assert rule({"operation": "get", "params": {"id": 5}}, known)[1].roles == {"reader"}
    stored = {topics.REQUESTS_INTERNAL: tokens.stored_digest(DIGEST)}
    known.take([Token(id="t", project="p", client="c", digests=stored, created=0, revoked=NOW)])
    assert rule({"operation": "get", "params": {"id": 5}}, known)[0].reason is Reason.CREDENTIALS_INVALID


def test_draft_has_roles_of_its_own() -> None:
    live = book()
    assert rule({"operation": "get", "params": {"id": 5}}, live)[1].roles == frozenset()
    document = {**DOCUMENT, "roles": ["reader"], "clients": [{"name": "c", "roles": ["reader"]}]}
    draft = live.with_project(GuardedProject.of(ProjectVersion(
        project="p", version=4, document=document, files={}, time=0)))
    assert rule({"operation": "get", "params": {"id": 5}}, draft)[1].roles == {"reader"}
    assert rule({"operation": "get", "params": {"id": 5}}, live)[1].roles == frozenset()


@pytest.mark.parametrize(("token", "reason"), [
    ({"revoked": NOW}, Reason.CREDENTIALS_INVALID), ({"revoked": NOW + 1}, Reason.OK),
    ({"expires": NOW}, Reason.CREDENTIALS_EXPIRED), ({"expires": NOW + 1}, Reason.OK),
    ({"project": "other"}, Reason.CREDENTIALS_INVALID)],
    ids=["revoked", "revoked later", "expired", "expires later", "of another project"])
def test_token_counts_only_while_and_where_it_is_valid(token: dict[str, Any], reason: Reason) -> None:
    assert rule({"operation": "get", "params": {"id": 1}}, book(**token))[0].reason is reason


@pytest.mark.parametrize(("shown", "reason"), [
    (f"{DIGEST} {'0' * 64}", Reason.OK), (f"{'0' * 64} {DIGEST}", Reason.OK),
    (f"{'0' * 64} {'1' * 64} {DIGEST}", Reason.OK),
    (f"{'0' * 64} {'1' * 64}", Reason.CREDENTIALS_INVALID),
    (" ".join(["0" * 64, "1" * 64, "2" * 64, DIGEST]), Reason.CREDENTIALS_INVALID)],
    ids=["good first", "good second", "good third", "none good", "more than a call can show"])
def test_first_good_token_of_several_counts(shown: str, reason: Reason) -> None:
    assert rule({"operation": "get", "params": {"id": 1}, "token_digest": shown})[0].reason is reason


def test_of_several_tokens_that_are_no_good_the_first_says_why() -> None:
    known = book(expires=NOW)
    for shown, reason in ((f"{DIGEST} {'0' * 64}", Reason.CREDENTIALS_EXPIRED),
                          (f"{'0' * 64} {DIGEST}", Reason.CREDENTIALS_INVALID)):
        assert rule({"operation": "get", "token_digest": shown}, known)[0].reason is reason


@given(st.booleans(), st.booleans(), st.booleans())
def test_first_refusal_in_the_public_order_wins(late: bool, unknown: bool, anonymous: bool) -> None:
    decision, _ = rule({"operation": "none" if unknown else "get", "params": {"id": "x"},
                        "deadline_ms": 1 if late else None, "token_digest": None if anonymous else DIGEST})
    expected = (Reason.TIMEOUT if late else Reason.OPERATION_NOT_FOUND if unknown
                else Reason.CREDENTIALS_MISSING if anonymous else Reason.INPUT_INVALID)
    assert decision.reason is expected


def test_admitted_case_knows_client_version_and_coerced_values() -> None:
    decision, case = rule({"method": "GET", "path": "/things/5?tag=1&tag=2&free=x"})
    assert (decision.version, case.client) == (3, "c")
    assert case.trigger["path"] == {"id": 5}
    assert case.trigger["query"] == {"tag": [1, 2], "free": "x"}


def test_every_value_that_does_not_fit_is_listed_with_its_place() -> None:
    refusal = rule({"operation": "make", "body": b'{"b": "x"}'})[0].refusal
    assert refusal is not None
    assert str(refusal) == "2 values of the request do not fit; `errors` lists each"
    assert {(one["in"], one["pointer"]) for one in refusal.members["errors"]} == {("body", ""), ("body", "/b")}
    assert all(one["message"] for one in refusal.members["errors"])


def test_headers_are_held_against_their_schema_and_seen_by_the_workflow_as_the_owner_changes_them() -> None:
    reads = [{**DOCUMENT["operations"][2], "input": {"headers": {"required": ["x-page"], "properties": {
        "x-page": {"type": "integer"}}}}}]
    changed = [{"operations": ["open"], "request": {"remove": ["x-page"], "set": {"x-gate": "weir"}}}]
    for more, seen in (({}, {"x-page": "7"}), ({"headers": changed}, {"x-gate": "weir"})):
        known = book()
        document = {**DOCUMENT, "operations": reads, **more}
        known.take([ProjectVersion(project="p", version=4, document=document, files={}, time=0)])
        ends = {}
        for page in ("7", "x"):
            facts = HttpFacts(method="GET", path="/open", headers={"x-page": page}, client_ip="10.0.0.1")
            decision, ends[page] = rule({"operation": "open", "http": facts}, known)
            assert decision.reason is (Reason.OK if page == "7" else Reason.INPUT_INVALID)
        assert ends["7"].trigger == {"path": {}, "query": {}, "headers": seen, "client": "c", "method": "GET",
                                     "ip": "10.0.0.1"}


def test_name_and_path_of_an_operation_find_the_same() -> None:
    assert rule({"operation": "get", "params": {"id": 5, "tag": [1]}})[1].trigger["path"] == rule(
        {"method": "GET", "path": "/things/5?tag=1"})[1].trigger["path"]


def test_parameters_by_name_are_what_they_would_be_in_a_url() -> None:
    by_name, by_path = (rule(request)[1].trigger for request in (
        {"operation": "get", "params": {"id": 5.0, "new": True, "n": 1e15, "tag": [1, 2.0], "gone": None, "free": {
            "a": [None, 0.5, "ä"]}, "many": [False, "x"], "half": 0.5, "far": 1e20}},
        {"method": "GET", "path": '/things/5?new=true&n=1000000000000000&tag=1&tag=2&free={"a": [null, 0.5, "ä"]}'
                                  '&many=false&many=x&half=0.5&far=1e%2B20'}))
    assert by_name["path"] == by_path["path"] == {"id": 5}
    assert by_name["query"] == by_path["query"] == {
        "new": True, "n": 10**15, "tag": [1, 2], "free": '{"a": [null, 0.5, "ä"]}', "many": "x",
        "half": "0.5", "far": "1e+20"}


def test_query_of_the_edge_is_taken_from_the_edges_facts() -> None:
    facts = HttpFacts(method="GET", path="/things/5", query={"tag": ["7"]}, client_ip="10.0.0.1")
    _, case = rule({"operation": "get", "params": {"id": "5"}, "http": facts})
    assert (case.trigger["query"], case.trigger["ip"]) == ({"tag": [7]}, "10.0.0.1")


@pytest.mark.parametrize("text", ["1_0", "%D9%A3", "%205%20", "%2B5"])
def test_text_that_is_no_json_number_is_no_number(text: str) -> None:
    assert rule({"method": "GET", "path": f"/things/{text}"})[0].reason is Reason.INPUT_INVALID


def test_integer_that_no_record_can_carry_is_refused() -> None:
    decision, case = rule({"method": "GET", "path": f"/things/{2**70}"})
    assert decision.reason is Reason.INPUT_INVALID or orjson.dumps(case.trigger)


def test_newest_version_is_the_one_in_force() -> None:
    known = book()
    known.take([ProjectVersion(project="p", version=4, document={**DOCUMENT, "operations": []}, files={}, time=0)])
    assert rule({"operation": "get"}, known)[0].reason is Reason.OPERATION_NOT_FOUND
    assert rule({"operation": "get"}, known)[0].version == 4


def test_canary_is_open_without_any_configuration() -> None:
    decision, _ = rule({"project": "weir-canary", "operation": "ping", "token_digest": None}, PolicyBook())
    assert decision.reason is Reason.OK


def test_token_of_a_client_that_the_project_has_no_more_is_none_until_it_has_it_again() -> None:
    known, call = book(), {"operation": "get", "params": {"id": 5}}
    without = ProjectVersion(project="p", version=4, document={**DOCUMENT, "clients": []}, files={}, time=0)
    known.take([without])
    decision, _ = rule(call, known)
    assert decision.reason is Reason.CREDENTIALS_INVALID
    assert "any more" in str(decision.refusal)
    known.take([Client(project="p", name="c", roles=[], time=0)])
    assert rule(call, known)[0].reason is Reason.OK
