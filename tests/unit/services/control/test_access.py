"""`explain` about callers that a JWT names ends as the decision about such a token does."""

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from pydantic import ValidationError

from services.control.api import Call, Desk
from services.control.faults import NotFound
from services.control.resources import access
from services.control.resources.access import Question, explain, show_matrix
from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Halt, ProjectVersion
from shared.decision.book import PolicyBook
from shared.decision.decide import decide
from shared.decision.vault import Vault
from shared.project.model import Project
from tests.support.calls import NOW, OPERATIONS, SEAL, STEPS, book, case
from tests.support.fakes import StoppedClock
from tests.support.issuer import Issuer

ISSUER, OTHER = Issuer(), Issuer("https://other.example")
SCHEMES = [{"issuer": ISSUER.name, "audience": "weir", "jwks": "https://id.example/keys", "client": "azp",
            "roles": "/realm_access/roles"},
           {"issuer": OTHER.name, "audience": "weir", "jwks": "https://other.example/keys"}]
POLICIES = [{"name": "writers", "action": "reject", "operations": ["make-*"],
             "rules": [{"role": {"is_not": "editor"}}]},
            {"name": "tenants", "action": "reject", "rules": [{"claim": {"name": "tenant", "is": "closed"}}]}]
EDITOR = {"azp": "shop", "realm_access": {"roles": ["editor"]}}


def known(schemes: Any = SCHEMES, policies: Any = POLICIES, **more: Any) -> PolicyBook:
    keys = {"https://id.example/keys": ISSUER.key_set, "https://other.example/keys": OTHER.key_set}
    return book(policies, Vault(seal=SEAL, key_sets=keys), authentication={"jwt": schemes}, **more)


async def told(known: PolicyBook, catalogue: Catalogue | None = None, **question: Any) -> dict[str, Any]:
    registry = SimpleNamespace(catalogue=catalogue or Catalogue())
    desk = cast(Desk, SimpleNamespace(book=known, clock=StoppedClock(NOW), store=None, registry=registry))
    answer = await explain(Call(desk=desk, path={"project": "p"}, query={},
                                body=Question.model_validate({"ip": "10.1.2.3", **question})))
    return cast(dict[str, Any], answer.body)


def caller(answer: dict[str, Any]) -> str:
    found: str = next(check["saw"] for check in answer["checks"] if check["check"] == "caller")
    return found


@pytest.mark.parametrize("operation", ["get-thing", "make-thing", "open"])
@pytest.mark.parametrize(("issuer", "claims"), [
    (ISSUER, EDITOR), (ISSUER, {**EDITOR, "azp": "c"}), (ISSUER, {"azp": "c"}), (ISSUER, {}), (ISSUER, {"azp": 7}),
    (ISSUER, {**EDITOR, "tenant": "closed"}), (ISSUER, {**EDITOR, "realm_access": {"roles": "reader editor"}}),
    (OTHER, {"sub": "c"}), (OTHER, {"sub": "shop"}), (OTHER, {**EDITOR, "sub": "shop"})])
async def test_claims_name_the_caller_and_its_roles_as_in_the_decision(
        operation: str, issuer: Issuer, claims: dict[str, Any]) -> None:
    here = known()
    looked = case(here, operation, token=None, sealed={"jwt": issuer.token(NOW, **claims)})
    decision = decide(looked)
    answer = await told(here, operation=operation, params={"id": "7"}, claims={"iss": issuer.name, **claims})
    assert answer["decision"]["code"] == decision.reason
    assert caller(answer) == (f"client {looked.client}, roles {', '.join(sorted(looked.roles)) or 'none'}"
                              if looked.client else "nobody")


async def test_client_and_roles_can_be_said_without_claims() -> None:
    here = known()
    for question, client, code in (
            ({"client": "shop"}, "client shop, roles none", "access-rejected"),
            ({"client": "shop", "roles": ["editor"]}, "client shop, roles editor", "ok"),
            ({"client": "shop", "claims": {"realm_access": {"roles": ["editor"]}}}, "client shop, roles editor", "ok"),
            ({"client": "c"}, "client c, roles editor, reader", "ok"),
            ({"client": "c", "roles": []}, "client c, roles none", "access-rejected"),
            ({"client": "c", "claims": {"n": 1}}, "client c, roles none", "access-rejected"),
            ({"client": "c", "claims": EDITOR}, "client shop, roles editor", "ok")):
        answer = await told(here, operation="make-thing", **question)
        assert (caller(answer), answer["decision"]["code"]) == (client, code), question
        assert ("taken to have shown a JWT" in str(answer["notes"])) is (question not in (
            {"client": "c"}, {"client": "c", "roles": []})), question


async def test_token_of_an_issuer_that_is_not_trusted_is_refused() -> None:
    answer = await told(known(), operation="make-thing", claims={**EDITOR, "iss": "https://evil.example"})
    assert (answer["decision"]["code"], answer["checks"][-1]["check"]) == ("credentials-invalid", "caller")


async def test_jwt_names_nobody_where_the_operation_takes_none() -> None:
    narrow = known(operations=[{**one, "authentication": ["token"]} for one in OPERATIONS])
    answer = await told(narrow, operation="make-thing", claims=EDITOR)
    assert (caller(answer), answer["decision"]["code"]) == ("nobody", "credentials-missing")
    assert "takes no JWT" in answer["notes"][0]
    assert (await told(narrow, operation="make-thing", client="c"))["decision"]["code"] == "ok"


async def test_client_that_nothing_can_name_is_not_found() -> None:
    with pytest.raises(NotFound, match="has no client 'shop'; it has c, made"):
        await told(known(schemes=[]), operation="get-thing", client="shop")


@pytest.mark.parametrize(("stopped", "when"), [("w", ""), ("part", " where it calls that one and waits for it")])
async def test_call_whose_workflow_is_stopped_is_said_to_get_503(stopped: str, when: str) -> None:
    steps = [{"id": "other", "call": {"workflow": "part"}}]
    document = Project.model_validate({"name": "p", "operations": OPERATIONS, "workflows": {
        "w": {"name": "w", "steps": steps}, "part": {"name": "part", "steps": STEPS}}}).to_document()
    catalogue = Catalogue()
    catalogue.put(ProjectVersion(project="p", version=3, document=document, files={}, time=0))
    question = {"operation": "get-thing", "client": "c", "params": {"id": "7"}}
    assert (await told(book([]), catalogue, **question))["notes"] == []
    catalogue.put(Halt(project="p", workflow=stopped, halted=True, reason="stock is wrong", time=0))
    answer = await told(book([]), catalogue, **question)
    assert answer["notes"] == [f"workflow '{stopped}' is stopped (stock is wrong): a call that is let in gets 503 "
                               f"workflow-stopped{when}, until `weir workflow start p {stopped}`"]
    # one that does not come there is told nothing of it
    assert (await told(book([]), catalogue, **{**question, "client": None}))["notes"] == []


def test_roles_are_somebodys() -> None:
    with pytest.raises(ValidationError, match="say who has these roles"):
        Question(operation="get-thing", roles=["editor"])


async def test_matrix_has_a_row_for_the_tokens_of_each_issuer_where_an_operation_takes_them() -> None:
    few = {"name": "few", "action": "accept", "rules": [{"role": "reader"}], "limits": [{"limit": 2, "per": "minute"}]}
    operations = [{**one, "authentication": ["token"]} if one["name"] == "get-thing" else one for one in OPERATIONS]
    known_ = known(policies=[*POLICIES[:1], few], operations=operations)
    desk = cast(Desk, SimpleNamespace(book=known_))
    answer = await show_matrix(Call(desk=desk, path={"project": "p"}, query={}))
    cells = orjson.loads(orjson.dumps(answer.body))
    assert {(cell["operation"], cell["issuer"]): (cell["client"], cell["may"], cell["why"], cell["limits"])
            for cell in cells if cell["issuer"]} == {
        ("make-thing", ISSUER.name): ("*", "depends", "unless writers (role)", ["2 per minute by client, if role"]),
        ("make-thing", OTHER.name): ("*", "depends", "unless writers (role)", ["2 per minute by client, if role"]),
        ("open", ISSUER.name): ("*", "yes", "", ["2 per minute by client, if role"]),
        ("open", OTHER.name): ("*", "yes", "", ["2 per minute by client, if role"])}


async def test_address_is_told_in_the_spelling_of_the_edge() -> None:
    here = known(policies=[{"name": "lan", "action": "reject", "rules": [{"ip": ["10.0.0.0/8"]}]}])
    answer = await told(here, operation="get-thing", client="c", params={"id": "7"}, ip="::ffff:10.1.2.3")
    assert "10.1.2.3" in str(answer)
    assert "::ffff" not in str(answer)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"'10\.0\.0' is no address; write 192\.0\.2\.1 or"):
        Question(operation="get-thing", ip="10.0.0")


async def test_headers_are_taken_as_the_edge_takes_them() -> None:
    once = [{**one, "idempotency": {"required": True}} if one["name"] == "make-thing" else one for one in OPERATIONS]
    here = book([], operations=once)
    for headers, code in (({}, "input-invalid"), ({"Idempotency-Key": "k"}, "ok"),
                          ({"idempotency-key": ""}, "input-invalid")):
        answer = await told(here, operation="make-thing", client="c", headers=headers)
        assert answer["decision"]["code"] == code
        assert code == decide(case(here, "make-thing", key=next(iter(headers.values()), None))).reason
        # the store is not asked for a call that was made under the key
        saw = next(one["saw"] for one in answer["checks"] if one["check"] == "idempotency")
        assert saw == ("a key; whether it was used before is not looked at" if code == "ok" else "no key")


async def test_header_that_stands_twice_is_a_list_as_at_the_edge() -> None:
    here = book([{"name": "admins", "action": "reject", "rules": [{"header": {"name": "x-role", "is": "admin"}}]}])
    question = {"operation": "get-thing", "client": "c", "params": {"id": "7"}}
    for headers in ({"X-Role": "guest", "x-role": "admin"}, {"X-Role": "admin", "x-role": "guest"}):
        assert (await told(here, **question, headers=headers))["decision"]["code"] == "access-rejected"


def test_preference_is_one_of_the_call_as_at_the_edge() -> None:
    here = book([])
    guarded = here.project("p")
    assert guarded is not None
    desk = cast(Desk, SimpleNamespace(book=here, clock=StoppedClock(NOW)))
    asked = access._case(Call(desk=desk, path={}, query={}), guarded,
                         Question(operation="make-thing", headers={"Prefer": "respond-async"}))
    assert (asked.request.prefer, asked.request.http and asked.request.http.headers) == ("respond-async", {})


async def test_what_the_edge_keeps_to_itself_is_not_seen() -> None:
    rules: list[dict[str, Any]] = [
        {"header": {"name": name, "exists": True}} for name in ("cookie", "authorization", "x-shop-key")]
    rules.append({"query": {"name": "key", "exists": True}})
    here = book([{"name": f"no-{number}", "action": "reject", "rules": [rule]} for number, rule in enumerate(rules)],
                bounds=[{"headers": 20, "query": 20}],
                authentication={"api_key": {"header": "X-Shop-Key", "query": "key"}})
    hidden = dict.fromkeys(("Cookie", "Host", "Authorization", "x-shop-key", "Prefer"), "x" * 50)
    question = {"operation": "get-thing", "client": "c", "params": {"id": "7"},
                "query": {"key": ["k" * 50], "a": ["b"]}, "headers": {"User-Agent": "curl", **hidden}}
    assert (await told(here, **question))["decision"]["code"] == "ok"
    longer = {**question, "headers": {"User-Agent": "x" * 20}}
    assert "30 bytes, and 20" in (await told(here, **longer))["decision"]["detail"]


@pytest.mark.parametrize(("policy", "schema"), [
    ({"body": {"at": "", "is": 5}}, True), ({"when": "body"}, {"type": "object"})])
async def test_body_that_is_nested_deep_is_a_finding(policy: dict[str, Any], schema: Any) -> None:
    deep = [{**one, "input": {"body": schema}} if one["name"] == "make-thing" else one for one in OPERATIONS]
    here = book([{"name": "deep", "action": "accept", "rules": [policy]}], operations=deep)
    answer = await told(here, operation="make-thing", client="c", body="[" * 1_020 + "]" * 1_020,
                        headers={"content-type": "application/json"})
    assert answer["decision"]["code"] == ("ok" if schema is True else "input-invalid")
    # Python 3.13 writes deeper lists than 3.11 can
    assert "nested too deep" in str(answer) or (schema is True and "[[[[" in str(answer))


@pytest.mark.parametrize("body", [[2**70], "\ud800", ["\ud800"]])
def test_what_cannot_be_a_body_is_refused(body: Any) -> None:
    with pytest.raises(ValidationError, match="cannot be written as a body"):
        Question(operation="make-thing", body=body)


def test_json_that_is_nested_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    with pytest.raises(ValidationError, match="cannot be written as a body"):
        Question(operation="make-thing", body=deep)


@pytest.mark.parametrize(("headers", "body", "code"), [
    ({}, "not json", "input-invalid"), ({"Content-Type": "application/x+json"}, "{", "input-invalid"),
    ({"Content-Type": "text/plain"}, "not json", "ok"), ({}, "[1]", "ok"), ({}, None, "ok")])
async def test_body_that_no_check_reads_is_told_as_the_executor_tells_it(
        headers: dict[str, str], body: str | None, code: str) -> None:
    answer = await told(known(policies=[]), operation="open", headers=headers, body=body)
    assert answer["decision"]["code"] == code
    assert [check["verdict"] for check in answer["checks"] if check["check"] == "body"] == (
        [] if code == "ok" else ["refused"])
