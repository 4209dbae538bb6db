"""HTTP in and out, without HTTP: translation, answers, admission."""

import json
from itertools import count
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.ingress import admission, answer, translate
from services.ingress.routes import EdgeRoutes, Target, origin_form
from services.ingress.traces import EdgeTraces
from services.ingress.visit import Visit
from shared.contracts import token as tokens
from shared.contracts.config import ProjectVersion
from shared.contracts.reply import ReplyRecord
from shared.contracts.request import HttpFacts, RequestRecord
from shared.contracts.sealed import Seal
from shared.contracts.traceparent import TraceContext
from shared.errors import BodyTooLarge, MethodNotAllowed, OperationNotFound, Unavailable
from shared.names import topics
from shared.names.headers import SECRET_HEADERS, UNSEEN_HEADERS
from shared.project.access.authentication import ApiKey
from shared.project.model import Operation
from shared.project.modes import Answering
from shared.telemetry.sampling import Sampler
from shared.telemetry.tracing import Tracing
from tests.support.fakes import StoppedClock

OPERATION = Operation.model_validate({"name": "get", "method": "GET", "path": "/a/{id}", "workflow": "w"})
TARGET = Target("p", OPERATION, {"id": "1"})
TRACE = TraceContext.new(sampled=False)


def parts(headers: list[tuple[str, str]]) -> translate.HttpParts:
    return translate.HttpParts(method="GET", path="/a/1", query="x=1&x=&y=%20", client_ip="1.2.3.4", body=b"",
                               headers=translate.clean_headers(headers))


@given(st.sampled_from(sorted(SECRET_HEADERS)), st.booleans())
def test_no_secret_of_a_caller_is_in_the_record(header: str, upper: bool) -> None:
    secret = tokens.new_token()
    name = header.upper() if upper else header
    record = translate.to_record(parts([(name, f"Bearer {secret}"), ("Accept", "x")]), TARGET, "r", 1, TRACE, None)
    assert secret.encode() not in b"".join(value for _, value in record.to_headers())
    assert record.http is not None
    assert record.http.headers == {"accept": "x"}


def test_what_validation_calls_unseen_is_what_the_edge_keeps_to_itself() -> None:
    sent = [(name, "x") for name in (*UNSEEN_HEADERS, "accept", "x-tenant", "X-Shop-Key")]
    target = structs.replace(TARGET, api_key=ApiKey(header="X-Shop-Key"))
    record = translate.to_record(parts(sent), target, "r", 1, TRACE, None)
    assert record.http is not None
    assert record.http.headers == {"accept": "x", "x-tenant": "x"}


SHAPED = {"name": "p", "workflows": {"w": {"name": "w", "steps": [{"id": "a", "reply": {}}]}},
          "operations": [{"name": name, "method": "GET", "path": f"/{name}", "workflow": "w"} for name in ("a", "b")],
          "cors": [{"operations": ["a"], "origins": ["https://a.example"]}],
          "headers": [{"operations": ["a"], "require": ["x-b"]},
                      {"operations": ["a"], "answer": {"remove": ["x-old", "vary"], "rename": {"X-New": "x-old"},
                                                       "set": {"Cache-Control": "no-store"}}}]}


def test_every_answer_of_an_operation_has_the_headers_that_its_owner_wants() -> None:
    routes = EdgeRoutes()
    routes.take([ProjectVersion(project="p", version=1, document=SHAPED, files={}, time=0)])
    asked, other = (routes.find("GET", "p", path) for path in ("/a", "/b"))
    made = {"X-Old": "1", "x-new": "2", "cache-control": "public", "RateLimit": "r"}
    replied = answer.of_reply(ReplyRecord(request_id="r", status=201, body=b"1", content_type="application/json",
                                          headers=made), "r")
    own = {"X-Request-Id": "r", "cache-control": "no-store", "Vary": "Origin"}
    assert answer.shaped(replied, asked, {}) == answer.Answer(
        201, {**own, "Content-Type": "application/json", "RateLimit": "r", "x-old": "2"}, b"1")
    refused = answer.of_error(Unavailable("later", headers={"Retry-After": "1"}), "r")
    assert answer.shaped(refused, asked, {}) == answer.Answer(
        503, {**own, "Content-Type": "application/problem+json", "Retry-After": "1"}, refused.body)
    page = answer.shaped(refused, asked, {"origin": "https://a.example"})
    assert page.headers["Access-Control-Allow-Origin"] == "https://a.example"
    opened = answer.shaped(answer.Answer(200, {"access-control-allow-origin": "*"}, b""), asked,
                           {"origin": "https://a.example"})
    assert [value for name, value in opened.headers.items() if name.lower() == "access-control-allow-origin"] == [
        "https://a.example"]
    for target in (other, None):
        assert answer.shaped(refused, target, {"origin": "https://a.example"}) is refused


def test_bearer_token_becomes_a_digest_for_the_edge_topic_alone() -> None:
    secret = tokens.new_token()
    record = translate.to_record(parts([("Authorization", f"bearer {secret}")]), TARGET, "r", 1, TRACE, None)
    assert record.token_digest == tokens.topic_digest(secret, topics.REQUESTS_EDGE)
    assert record.token_digest != tokens.topic_digest(secret, topics.REQUESTS_INTERNAL)


@pytest.mark.parametrize(("header", "digest"), [
    ("Bearer weir_x", tokens.malformed("weir_x")), ("Bearer", tokens.malformed("")), ("Basic abc", None)])
def test_what_is_no_token_is_told_from_no_token_at_all(header: str, digest: str | None) -> None:
    assert translate.credentials({"authorization": header}, {}, TARGET).digest == digest


GOOD, KEY = tokens.new_token(), tokens.new_token()
BOTH = Target("p", OPERATION, {}, frozenset({"token", "api_key"}), ApiKey(header="x-key", query="key"))


@pytest.mark.parametrize(("bearer", "key", "digest"), [
    (GOOD, KEY, f"{tokens.topic_digest(GOOD, topics.REQUESTS_EDGE)} {tokens.topic_digest(KEY, topics.REQUESTS_EDGE)}"),
    (KEY, KEY, tokens.topic_digest(KEY, topics.REQUESTS_EDGE)),
    ("of another system", KEY, tokens.topic_digest(KEY, topics.REQUESTS_EDGE)),
    ("", KEY, tokens.topic_digest(KEY, topics.REQUESTS_EDGE)),
    (GOOD[:-1], KEY, tokens.topic_digest(KEY, topics.REQUESTS_EDGE)),
    (GOOD, "mistyped", tokens.topic_digest(GOOD, topics.REQUESTS_EDGE)),
    ("of another system", "mistyped", tokens.malformed("of another system")),
    ("of another system", "", tokens.malformed("of another system")),
    (None, "mistyped", tokens.malformed("mistyped")), (None, "", None)], ids=range(10))
def test_no_token_hides_another(bearer: str | None, key: str, digest: str | None) -> None:
    authorization = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
    assert translate.credentials({**authorization, "x-key": key}, {}, BOTH).digest == digest
    assert translate.credentials(authorization, {"key": [key]}, BOTH).digest == digest
    assert translate.credentials({**authorization, "x-key": "mistyped"}, {"key": [key]}, BOTH).digest == (
        digest or tokens.malformed("mistyped"))


SIGNED, QUERY = {"webhook-signature": "v1,x"}, {"key": ["mistyped", KEY]}
KEY_DIGEST, JWT = tokens.topic_digest(KEY, topics.REQUESTS_EDGE), {"authorization": "bEARER  a.b.c "}


@pytest.mark.parametrize(("kinds", "headers", "query", "digest", "secrets"), [
    ({"jwt", "token"}, JWT, {}, None, {"jwt": "a.b.c"}), ({"jwt"}, JWT, {}, None, {"jwt": "a.b.c"}),
    ({"token"}, JWT, {}, tokens.malformed("a.b.c"), {}), ({"signature"}, JWT, {}, None, {}),
    ({"jwt", "token"}, {"authorization": "Bearer a.b"}, {}, tokens.malformed("a.b"), {}),
    ({"jwt"}, {"authorization": f"Bearer {KEY}"}, {}, None, {}),
    ({"jwt", "token"}, {"authorization": f"Bearer {KEY}"}, {}, KEY_DIGEST, {}),
    ({"jwt"}, {"authorization": "a.b.c"}, {}, None, {}),
    ({"api_key"}, {"x-key": KEY}, {}, KEY_DIGEST, {}), ({"token"}, {"x-key": KEY}, QUERY, None, {}),
    # of a name that stands twice in a query the last value counts
    ({"api_key"}, {}, QUERY, KEY_DIGEST, {}), ({"api_key"}, {}, {"key": [KEY, ""]}, None, {}),
    ({"signature"}, SIGNED, {}, None, {"signature": "v1,x"}), ({"token"}, SIGNED, {}, None, {}),
    ({"jwt", "signature", "api_key"}, {**JWT, **SIGNED, "x-key": KEY}, {}, KEY_DIGEST,
     {"jwt": "a.b.c", "signature": "v1,x"})], ids=count())
def test_proofs_are_looked_for_where_the_operation_takes_them(
        kinds: set[str], headers: dict[str, str], query: dict[str, list[str]], digest: str | None,
        secrets: dict[str, str]) -> None:
    target = structs.replace(BOTH, kinds=frozenset(kinds))
    found = translate.credentials(headers, query, target)
    assert (found.digest, found.secrets) == (digest, secrets)
    asked = structs.replace(parts([*headers.items()]), query=urlencode(query, doseq=True))
    assert translate.proofs(asked, target) == found
    assert translate.proofs(asked, TARGET) is asked.found, "they are looked for once"


def test_secrets_travel_sealed_or_not_at_all() -> None:
    target, seal = structs.replace(TARGET, kinds=frozenset({"jwt"})), Seal("A" * 43)
    sent = parts([*JWT.items()])
    with pytest.raises(Unavailable):
        translate.to_record(sent, target, "r", 1, TRACE, None)
    record = translate.to_record(sent, target, "r", 1, TRACE, seal)
    assert seal.open(record.sealed or "", "r") == {"jwt": "a.b.c"}
    assert translate.to_record(parts([]), target, "r", 1, TRACE, seal).sealed is None


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
       st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60) | st.just(KEY))
def test_neither_of_two_proofs_is_in_the_record(bearer: str, key: str) -> None:
    bearer, key = f"bearer-{bearer}", f"{key}-key" if key != KEY else key
    sent = parts([("Authorization", f"Bearer {bearer}"), ("X-Key", key)])
    record = translate.to_record(sent, BOTH, "r", 1, TRACE, None)
    told = b"".join(value for _, value in record.to_headers())
    assert bearer.encode() not in told
    assert key.encode() not in told


@pytest.mark.parametrize("place", ["{}", "Token {}", "https://app.example/?key={}&more=1", "weir_1 {}", "a{}",
                                   "weir_1{}", "weir_{}", "my-weir_weir_-{}x"])
def test_token_in_a_wrong_place_is_in_no_record(place: str) -> None:
    for target in (TARGET, BOTH):
        sent = parts([("X-Token", place.format(GOOD)), ("X-Kind", f"weir_ {GOOD[:-1]}"), ("Accept", "x")])
        sent.query = urlencode({"KEY": ["1", place.format(GOOD)], "a": "weir_1"}, doseq=True)
        record = translate.to_record(sent, target, "r", 1, TRACE, None)
        assert record.http is not None
        assert set(record.http.headers) == {"x-kind", "accept"}
        assert record.http.query == {"a": ["weir_1"]}
        assert GOOD.encode() not in b"".join(value for _, value in record.to_headers())


def test_key_that_stands_in_the_query_is_in_no_record_whatever_it_is() -> None:
    sent = structs.replace(parts([]), query="key=of+another+system&x=1")
    record = translate.to_record(sent, BOTH, "r", 1, TRACE, None)
    assert record.http is not None
    assert record.http.query == {"x": ["1"]}
    assert record.token_digest == tokens.malformed("of another system")


def test_record_says_what_the_edge_knows_of_the_call() -> None:
    sent = structs.replace(parts([
        ("Content-Type", "a/b"), ("Idempotency-Key", "k"), ("Prefer", "wait=1"), ("Baggage", "b=2"),
        ("Tracestate", "a=1"), ("Traceparent", f"00-{'a' * 32}-{'b' * 16}-01"), ("X-A", "1")]), body=b"{}",
        certificate="CN=a")
    assert translate.to_record(sent, TARGET, "r", 7, TRACE, None) == RequestRecord(
        request_id="r", project="p", operation="get", params={"id": "1"}, body=b"{}", deadline_ms=7, content_type="a/b",
        idempotency_key="k", prefer="wait=1", traceparent=str(TRACE), baggage="b=2", tracestate="a=1", http=HttpFacts(
            method="GET", path="/a/1", query={"x": ["1", ""], "y": [" "]}, certificate="CN=a", headers={"x-a": "1"},
            client_ip="1.2.3.4"))


def test_query_and_path_travel_as_they_came() -> None:
    record = translate.to_record(parts([]), TARGET, "r", 1, TRACE, None)
    assert record.http is not None
    assert record.http.query == {"x": ["1", ""], "y": [" "]}
    assert record.params == {"id": "1"}


def test_headers_that_are_no_utf8_do_not_break_the_record() -> None:
    headers = translate.clean_headers([("X-A", "caf\udce9"), ("X-A", "b")])
    assert headers == {"x-a": "caf\ufffd, b"}


def test_workflow_can_neither_split_the_answer_nor_own_the_connection() -> None:
    made = answer.of_reply(ReplyRecord(request_id="r", status=200, body=b"1", headers={
        "X-A": "1", "X-B": "1\r\nSet-Cookie: x", "X-C\r\nX-D": "1", "X-E": "\x00", "Content-Length": "7",
        "Connection": "close", "Transfer-Encoding": "chunked", "Keep-Alive": "x", "Upgrade": "x", "TE": "x",
        "Trailer": "x", "Date": "x", "server": "x", "X-Request-Id": "x"}), "r")
    assert made.headers == {"X-A": "1", "X-Request-Id": "r", "Content-Type": "application/json"}


def test_error_becomes_problem_json_with_its_headers() -> None:
    made = answer.of_error(Unavailable("away", headers={"Retry-After": "2"}), "r")
    assert (made.status, made.headers["Retry-After"], made.headers["Content-Type"]) == (
        503, "2", "application/problem+json")
    assert json.loads(made.body) | {"type": ""} == {
        "type": "", "title": "Temporarily unavailable", "status": 503, "detail": "away", "code": "unavailable",
        "request_id": "r", "retry": "later"}


def test_admission_refuses_before_anything_is_published() -> None:
    admission.check_open(draining=False)
    admission.check_size(10, 10)
    with pytest.raises(Unavailable) as stopping:
        admission.check_open(draining=True)
    assert stopping.value.headers == {"Retry-After": "1"}
    with pytest.raises(BodyTooLarge):
        admission.check_size(11, 10)


def test_routes_follow_the_newest_version() -> None:
    routes = EdgeRoutes()
    workflows = {"w": {"name": "w", "steps": [{"id": "a", "reply": {}}]}}
    for version, path in ((1, "/old"), (2, "/new")):
        document = {"name": "p", "workflows": workflows, "operations": [
            {"name": "o", "method": "GET", "path": path, "workflow": "w"}]}
        routes.take([ProjectVersion(project="p", version=version, document=document, files={}, time=0)])
    assert routes.find("GET", "p", "/new").operation.name == "o"
    with pytest.raises(OperationNotFound):
        routes.find("GET", "p", "/old")
    with pytest.raises(MethodNotAllowed):
        routes.find("POST", "p", "/new")
    with pytest.raises(OperationNotFound):
        routes.find("GET", "weir-canary", "/ping")


@pytest.mark.parametrize(("asked", "target"), [
    ("/p/a?x=http://y/z", "/p/a?x=http://y/z"), ("http://x/p/a?b=//c", "/p/a?b=//c"), ("HTTPS://x:1/p", "/p"),
    ("http://x", "/"), ("ftp://x/p/a", "ftp://x/p/a"), ("*", "*"), ("x/p", "x/p"), ("http:/x/p", "http:/x/p")])
def test_whole_address_leads_where_its_path_leads(asked: str, target: str) -> None:
    assert origin_form(asked) == target


def test_operation_answers_as_usual_unless_its_caller_prefers_something() -> None:
    routes = EdgeRoutes()
    routes.take([ProjectVersion(project="p", version=1, document=SHAPED, files={}, time=0)])
    target = routes.find("GET", "p", "/a")
    assert target.answering(None) is target.usual
    assert structs.replace(target, usual=None).answering(None) == target.usual
    assert target.answering("respond-async").at_once


def test_of_very_many_that_are_refused_at_once_a_few_leave_a_trace() -> None:
    tracing, clock = Tracing("ingress", "i"), StoppedClock()
    traces = EdgeTraces(tracing, Sampler(clock, ratio=0, max_per_s=0), clock, 1_000)
    visit = Visit("r", "GET", "/p/a/1", "p", "/a/1", None, TRACE, clock.elapsed_us(), TARGET)
    told = [traces.finish(visit, 503, clock.elapsed_us()) for _ in range(100)]
    assert (told.count(True), len(tracing.take()[0])) == (20, 20)
    assert traces.finish(visit, 503, clock.elapsed_us() + 1_000_000)
    visit.published_us = clock.elapsed_us()
    assert all(traces.finish(visit, 504, clock.elapsed_us() + 1_000_000) for _ in range(100))


def test_plain_path_leads_where_the_table_leads_and_parameters_still_count() -> None:
    routes = EdgeRoutes()
    document = {"name": "p", "workflows": {"w": {"name": "w", "steps": [{"id": "a", "reply": {}}]}}, "operations": [
        {"name": name, "method": "GET", "path": path, "workflow": "w"}
        for name, path in (("one", "/a/{id}"), ("all", "/a"), ("own", "/a/me"))]}
    routes.take([ProjectVersion(project="p", version=1, document=document, files={}, time=0)])
    found = {path: routes.find("GET", "p", path) for path in ("/a", "/a/me", "/a/7", "/a/m%65", "/a/{id}")}
    assert {path: (target.operation.name, dict(target.params)) for path, target in found.items()} == {
        "/a": ("all", {}), "/a/me": ("own", {}), "/a/7": ("one", {"id": "7"}), "/a/m%65": ("own", {}),
        "/a/{id}": ("one", {"id": "{id}"})}
    assert routes.find("HEAD", "p", "/a/me").operation.name == "own"


@pytest.mark.parametrize(("keyed", "retry"), [(True, "later"), (False, "never")])
def test_call_whose_work_goes_on_is_to_be_made_again_with_an_idempotency_key_alone(keyed: bool, retry: str) -> None:
    how = Answering(at_once=False, kept=True, wait_ms=1_000, run_ms=2_000)
    told = json.loads(answer.of_error(answer.still_running("p", "r", how, keyed=keyed), "r").body)
    assert (told["retry"], told["result"]) == (retry, "/p/-/executions/r")
