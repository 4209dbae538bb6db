"""Policies decide: every kind of rule, reject over accept, observe without effect."""

from ipaddress import IPv4Address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.decision.amounts import Amounts
from shared.decision.decide import Decision, decide
from shared.names.reasons import Reason
from shared.project.access.facts import Facts, packed
from shared.project.access.networks import Networks
from shared.project.access.policies import Rule
from shared.project.access.rules import compile_rule
from tests.support.calls import NOW, book, case

FACTS: dict[str, Any] = {
    "operation": "make-thing", "method": "POST", "now_ms": NOW, "source": "edge", "client": "shop",
    "roles": frozenset({"reader", "editor"}), "ip": "10.1.2.3", "authenticated": True,
    "headers": {"x-tenant": "blue-7", "x-level": "5", "x-flag": "true"}, "query": {"tag": ["a", "b"], "empty": [""]},
    "claims": {"scope": ["read", "write"], "org": {"id": 9}, "a/b": 1, "admin": False},
    "body": b'{"amount": 12.5, "items": [{"sku": "x"}, {"sku": "y"}], "note": null, "one": 1}'}

RULES: list[tuple[dict[str, Any], bool]] = [
    ({"authenticated": True}, True), ({"authenticated": False}, False),
    ({"role": "reader"}, True), ({"role": "owner"}, False), ({"role": ["owner", "editor"]}, True),
    ({"role": {"is_not": "reader"}}, False), ({"role": {"not_in": ["owner"]}}, True),
    ({"client": "shop"}, True), ({"client": {"starts_with": "sh"}}, True), ({"client": {"matches": "^s.*p$"}}, True),
    ({"client": {"is_not": "shop"}}, False), ({"client": {"exists": True}}, True),
    ({"ip": "10.0.0.0/8"}, True), ({"ip": "10.1.2.3"}, True), ({"ip": ["192.0.2.0/24", "2001:db8::/32"]}, False),
    ({"ip": {"not_in": ["10.0.0.0/8"]}}, False), ({"ip": {"in": ["10.0.0.0/8"], "not_in": ["10.1.0.0/16"]}}, False),
    ({"ip": "::ffff:10.0.0.0/104"}, True), ({"ip": "office"}, True), ({"ip": {"not_in": ["office"]}}, False),
    # lists of the project beside addresses
    *(({"ip": {key: [name, network]}}, (key == "in") is holds) for key in ("in", "not_in") for name, network, holds in (
        ("lab", "10.1.0.0/16", True), ("office", "192.0.2.0/24", True), ("lab", "192.0.2.1", False))),
    ({"ip": {"in": ["lab"], "not_in": ["172.16.0.0/12"]}}, False),
    ({"ip": {"in": ["office"], "not_in": ["lab", "172.16.0.0/12"]}}, True),
    ({"header": {"name": "X-Tenant", "is": "blue-7"}}, True),
    ({"header": {"name": "x-tenant", "matches": "[0-9]$"}}, True),
    ({"header": {"name": "x-level", "is": 5}}, True), ({"header": {"name": "x-level", ">": 4, "<": 6}}, True),
    ({"header": {"name": "x-flag", "is": True}}, True), ({"header": {"name": "x-tenant", ">": 1}}, False),
    ({"header": {"name": "x-none", "exists": False}}, True), ({"header": {"name": "x-none", "is_not": "a"}}, True),
    ({"header": {"name": "x-none", "in": ["a"]}}, False), ({"header": {"name": "x-none", "matches": ".*"}}, False),
    ({"query": {"name": "tag", "is": "b"}}, True), ({"query": {"name": "tag", "is_not": "b"}}, False),
    ({"query": {"name": "empty", "exists": True}}, True), ({"query": {"name": "none", "exists": True}}, False),
    ({"body": {"at": "/amount", ">": 12}}, True), ({"body": {"at": "/amount", "<=": 12}}, False),
    *(({"body": {"at": "/amount", order: 12.5}}, holds) for order, holds in (
        ("<", False), ("<=", True), (">", False), (">=", True))),
    ({"body": {"at": "/items/1/sku", "is": "y"}}, True), ({"body": {"at": "/items/2/sku", "exists": False}}, True),
    ({"body": {"at": "/note", "exists": True}}, True), ({"body": {"at": "/one", "is": True}}, False),
    ({"body": {"at": "/one", "is": 1.0}}, True), ({"body": {"at": "/amount", "starts_with": "1"}}, False),
    # what is no text, no number, or neither
    ({"body": {"at": "/amount", "matches": "1"}}, False), ({"body": {"at": "/note", "<": 5}}, False),
    ({"claim": {"name": "admin", "<": 1}}, False), ({"body": {"at": "/items", "in": ["x"]}}, False),
    ({"body": {"at": "/items", "not_in": ["x"]}}, True), ({"body": {"at": "/items/0", "is": "x"}}, False),
    ({"header": {"name": "x-tenant", "is": "Blue-7"}}, False), ({"ip": "2001:db8::1"}, False),
    ({"claim": {"name": "scope", "is": "write"}}, True), ({"claim": {"name": "/org/id", "is": 9}}, True),
    ({"claim": {"name": "a/b", "is": 1}}, True), ({"claim": {"name": "admin", "is": False}}, True),
    ({"method": "POST"}, True), ({"method": ["GET", "PUT"]}, False),
    ({"size": {"<": 1000}}, True), ({"size": {">=": 1000}}, False),
    ({"time": {"zone": "UTC", "days": ["sat"], "from": "21:00", "to": "22:00"}}, True),
    ({"time": {"zone": "UTC", "days": ["sun"], "from": "21:00", "to": "22:00"}}, False),
    ({"time": {"zone": "UTC", "from": "21:30", "to": "21:31"}}, True),
    ({"time": {"zone": "UTC", "from": "21:29", "to": "21:30"}}, False),
    ({"time": {"zone": "UTC", "from": "21:31", "to": "21:33"}}, False),
    ({"time": {"zone": "Europe/Berlin", "from": "21:00", "to": "22:00"}}, False),
    ({"time": {"zone": "Asia/Tokyo", "days": ["sun"], "to": "08:00"}}, True),
    ({"time": {"zone": "UTC", "days": ["fri"], "from": "21:00", "to": "06:00"}}, False),
    ({"time": {"zone": "Pacific/Kiritimati", "days": ["sat"], "from": "22:00", "to": "12:00"}}, True),
    ({"when": 'header["x-tenant"].startsWith("blue") && "reader" in roles && size < 100'}, True),
    ({"when": 'body.amount > 12.0 && body.items.exists(i, i.sku == "y") && method == "POST"'}, True),
    ({"when": 'now.getHours("UTC") == 21 && source == "edge" && claim.org.id == 9 && query["tag"][0] == "b"'}, False),
]


@pytest.mark.parametrize(("rule", "holds"), RULES, ids=[str(rule) for rule, _ in RULES])
def test_each_kind_of_rule_holds_for_its_own_reason(rule: dict[str, Any], holds: bool) -> None:
    compiled = compile_rule(Rule.model_validate(rule), {
        "office": Networks(["10.1.0.0/16"]), "lab": Networks(["192.0.2.0/24"])})
    assert compiled.holds(Facts(**FACTS)) is holds
    assert compiled.saw(Facts(**FACTS))


def test_rule_about_days_holds_on_its_own_day_alone() -> None:
    # NOW is a Saturday
    week = ("sat", "sun", "mon", "tue", "wed", "thu", "fri")
    rules = [compile_rule(Rule.model_validate({"time": {"zone": "UTC", "days": [day]}}), {}) for day in week]
    for later in range(7):
        facts = Facts(**{**FACTS, "now_ms": NOW + later * 86_400_000})
        assert [rule.holds(facts) for rule in rules] == [number == later for number in range(7)]


def test_rule_is_the_same_after_a_round_trip_through_its_document() -> None:
    for rule, _ in RULES:
        once = Rule.model_validate(rule)
        assert Rule.model_validate(once.model_dump(mode="json", by_alias=True)) == once


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 2000])
def test_body_that_is_not_json_has_no_parts(body: bytes) -> None:
    rule = compile_rule(Rule.model_validate({"body": {"at": "", "exists": False}}), {})
    assert rule.holds(Facts(**{**FACTS, "body": body}))


@pytest.mark.parametrize("ip", ["", "unknown", "999.1.1.1", "10.0.0.0/8"])
def test_caller_without_an_address_is_in_no_network(ip: str) -> None:
    inside, outside = ({"ip": {key: ["0.0.0.0/0", "::/0"]}} for key in ("in", "not_in"))
    facts = Facts(**{**FACTS, "ip": ip})
    assert not compile_rule(Rule.model_validate(inside), {}).holds(facts)
    assert compile_rule(Rule.model_validate(outside), {}).holds(facts)


def test_single_address_is_a_network_of_its_own() -> None:
    networks = Networks(["2001:db8::1", "10.1.2.3"])
    assert [networks.holds(packed(ip)) for ip in ("2001:db8::1", "10.1.2.3", "::ffff:10.1.2.3")] == [True] * 3
    assert [networks.holds(packed(ip)) for ip in ("2001:db8::2", "10.1.2.4", "32.1.13.184")] == [False] * 3


@given(st.ip_addresses(v=4), st.integers(0, 32), st.integers(0, 32))
def test_mapped_address_is_its_ipv4_address(address: IPv4Address, prefix: int, flipped: int) -> None:
    network = ip_network((address, prefix), strict=False)
    # the address, or one that differs from it in one bit
    other = IPv4Address(int(address) ^ (1 << flipped) % 2**32)
    for text in (str(network), f"::ffff:{network.network_address}/{96 + prefix}"):
        networks = Networks([text])
        assert networks.holds(packed(f"::ffff:{address}"))
        assert networks.holds(packed(f"::ffff:{other}")) is networks.holds(packed(str(other))) is (other in network)


def reject(name: str = "r", **more: Any) -> dict[str, Any]:
    return {"name": name, "action": "reject", **more}


def accept(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "action": "accept", **more}


def ruling(policies: list[dict[str, Any]], operation: str = "get-thing", auth: str = "token", **call: Any) -> Decision:
    return decide(case(book(policies, auth=auth), operation, **call))


def test_valid_token_may_call_everything_unless_the_project_denies() -> None:
    assert ruling([]).reason is Reason.OK
    assert ruling([], auth="deny").reason is Reason.ACCESS_REJECTED
    assert ruling([accept(operations=["get-*"])], auth="deny").reason is Reason.OK
    assert ruling([accept(operations=["get-*"])], "make-thing", auth="deny").reason is Reason.ACCESS_REJECTED


def test_public_operation_needs_nobody_to_accept_it_but_can_be_rejected() -> None:
    assert ruling([], "open", auth="deny", token=None).reason is Reason.OK
    assert ruling([reject(rules=[{"authenticated": False}])], "open", token=None).reason is Reason.ACCESS_REJECTED
    assert ruling([reject(rules=[{"authenticated": False}])], "open").reason is Reason.OK


@pytest.mark.parametrize("rule", [
    {"client": "c"}, {"role": "reader"}, {"authenticated": True}, {"method": "GET"}, {"ip": "10.1.2.3"},
    {"header": {"name": "x-a", "is": "1"}}, {"query": {"name": "tag", "is": "x"}}, {"body": {"at": "/a", "is": 1}},
    {"when": 'path.id == "7" && query.tag == ["x"] && source == "edge" && operation == "get-thing"'}], ids=str)
def test_rules_see_the_call_as_it_came(rule: dict[str, Any]) -> None:
    call: dict[str, Any] = {"headers": {"x-a": "1"}, "query": {"tag": ["x"]}, "body": b'{"a": 1}'}
    assert ruling([reject(rules=[rule])], **call).reason is Reason.ACCESS_REJECTED


def test_first_reject_in_file_order_answers_with_its_own_status_and_message() -> None:
    decision = ruling([accept(), reject("one", status=451, message="not here"), reject("two")])
    assert decision.refusal is not None
    assert (decision.refusal.status, str(decision.refusal)) == (451, "not here")
    assert decision.refusal.members == {"policy": "one"}
    assert decision.refusal.reason is Reason.ACCESS_REJECTED


def test_policy_speaks_of_its_operations_only() -> None:
    policies = [reject(operations=["make-*", "open"])]
    assert ruling(policies).reason is Reason.OK
    assert ruling(policies, "make-thing").reason is Reason.ACCESS_REJECTED


def test_expression_without_a_value_counts_on_the_safe_side() -> None:
    unknown = [{"when": 'header["x-absent"] == "a"'}]
    assert ruling([reject(rules=unknown)]).reason is Reason.ACCESS_REJECTED
    assert ruling([accept(rules=unknown)], auth="deny").reason is Reason.ACCESS_REJECTED
    assert ruling([reject(rules=[*unknown, {"role": {"is_not": "reader"}}])]).reason is Reason.OK


TWICE = [
    # what is asked of the header, what is sent, whether it holds in a policy that rejects, and in one that accepts
    ({"is": "admin"}, "admin", True, True), ({"is": "admin"}, "admin, admin", True, False),
    ({"is": "admin"}, "guest,\tadmin ,", True, False), ({"is": "admin"}, "guest, user", False, False),
    ({"is": "admin, guest"}, "admin, guest", True, True), ({"is": "admin"}, "administrator", False, False),
    ({"in": ["admin", "owner"]}, "guest, owner", True, False), ({"starts_with": "adm"}, "guest, admin", True, False),
    ({"matches": "^admin$"}, "guest, admin", True, False), ({">": 5}, "1, 7", True, False),
    ({"is_not": "guest"}, "guest", False, False), ({"is_not": "guest"}, "guest, guest", True, False),
    ({"is_not": "guest"}, "admin, guest", True, False), ({"not_in": ["guest"]}, "guest, guest", True, False),
    ({"not_in": ["guest"]}, "admin, owner", True, True), ({"is_not": "a, b"}, "a, b", False, False),
    ({"exists": True}, "a, b", True, True), ({"is": ""}, "a,,b", False, False),
    ({"starts_with": "adm", "is_not": "admin"}, "admin, admin", True, False)]


@pytest.mark.parametrize(("asked", "sent", "rejects", "accepts"), TWICE, ids=[str(row[:2]) for row in TWICE])
def test_nobody_gets_past_a_rule_by_sending_a_header_twice(
        asked: dict[str, Any], sent: str, rejects: bool, accepts: bool) -> None:
    rules = [{"header": {"name": "x-role", **asked}}]
    rejected = ruling([reject(rules=rules)], headers={"x-role": sent}).reason
    assert (rejected is Reason.ACCESS_REJECTED) is rejects
    accepted = ruling([accept(rules=rules)], auth="deny", headers={"x-role": sent}).reason
    assert (accepted is Reason.OK) is accepts


def test_list_that_is_too_long_to_look_at_counts_on_the_safe_side() -> None:
    rules, sent = [{"header": {"name": "x-role", "starts_with": "adm"}}], {"x-role": "a," * 5_000}
    assert ruling([reject(rules=rules)], headers=sent).reason is Reason.ACCESS_REJECTED
    assert ruling([accept(rules=rules)], auth="deny", headers=sent).reason is Reason.ACCESS_REJECTED


@pytest.mark.parametrize("asked", [
    {"is": "a"}, {"is_not": "b"}, {"in": ["a"]}, {"not_in": ["b"]}, {"matches": "a"}, {"starts_with": "a"}, {"<": 1}])
def test_array_of_a_body_that_is_too_long_to_look_at_counts_on_the_safe_side(asked: dict[str, Any]) -> None:
    rule, most, more = [{"body": {"at": "/l", **asked}}], *(b'{"l": [' + b'"a",' * n + b"0]}" for n in (9_999, 10_000))
    assert {ruling([reject(rules=rule)], body=body).reason for body in (most, more)} == {Reason.ACCESS_REJECTED}
    assert ruling([accept(rules=rule)], auth="deny", body=most).reason is Reason.OK
    assert ruling([accept(rules=rule)], auth="deny", body=more).reason is Reason.ACCESS_REJECTED


def test_whether_a_long_array_stands_in_a_body_can_be_said() -> None:
    there = [{"body": {"at": "/l", "exists": True}}]
    assert ruling([accept(rules=there)], auth="deny", body=b'{"l": [' + b"1," * 20_000 + b"1]}").reason is Reason.OK


@pytest.mark.parametrize("auth", ["token", "deny"])
@pytest.mark.parametrize(("rule", "call", "counts"), [
    ({"header": {"name": "x-plan", "is": "free"}}, {"headers": {"x-plan": "free, free"}}, True),
    ({"header": {"name": "x-plan", "in": ["free", "trial"]}}, {"headers": {"x-plan": "gold,trial"}}, True),
    ({"header": {"name": "x-plan", "is_not": "gold"}}, {"headers": {"x-plan": "gold, gold"}}, True),
    ({"header": {"name": "x-plan", "is": "free"}}, {"headers": {"x-plan": "a," * 5_000}}, True),
    ({"header": {"name": "x-plan", "is": "free"}}, {"headers": {"x-plan": "gold, gold"}}, False),
    ({"header": {"name": "x-plan", "is_not": "gold"}}, {"headers": {"x-plan": "gold"}}, False),
    ({"header": {"name": "x-plan", "is_not": "gold"}}, {}, True),
    ({"when": "body.amount > 5"}, {"body": b'{"amount": "6"}'}, True),
    ({"when": "body.amount > 5"}, {"body": b'{"amount": 5}'}, False)])
def test_nobody_gets_past_a_limit_by_a_call_of_which_nobody_can_say_whether_it_is_meant(
        rule: dict[str, Any], call: dict[str, Any], counts: bool, auth: str) -> None:
    limited = accept("few", rules=[rule], limits=[{"limit": 1, "per": "minute"}])
    known, amounts = book([limited, accept("all", rules=[{"client": "c"}])], auth=auth), Amounts()
    said = [decide(case(known, **call), amounts).reason for _ in range(2)]
    assert said == [Reason.OK, Reason.RATE_LIMITED if counts else Reason.OK]


LARGE = [{"when": "has(body.amount) && body.amount > 5"}]


@pytest.mark.parametrize(("body", "reason"), [
    (b"", Reason.OK), (b"{}", Reason.OK), (b'{"amount": 5}', Reason.OK), (b'{"amount": 6}', Reason.ACCESS_REJECTED),
    # whether these have an amount nobody can say
    (b"[]", Reason.ACCESS_REJECTED), (b"null", Reason.ACCESS_REJECTED), (b"7", Reason.ACCESS_REJECTED),
    (b"amount=6", Reason.ACCESS_REJECTED), (b'{"amount": "6"}', Reason.ACCESS_REJECTED)])
def test_call_without_a_body_has_nothing_in_it_and_one_that_is_no_object_has_no_value(
        body: bytes, reason: Reason) -> None:
    assert ruling([reject(rules=LARGE)], body=body).reason is reason
    assert ruling([accept(rules=LARGE)], auth="deny", body=body).reason is (
        Reason.OK if body == b'{"amount": 6}' else Reason.ACCESS_REJECTED)


def test_expression_may_ask_whether_the_body_is_an_object_first() -> None:
    asked = [{"when": "type(body) == map && has(body.amount) && body.amount > 5"}]
    assert {ruling([reject(rules=asked)], body=body).reason for body in (b"[]", b"null", b"7", b"", b"amount=6")} == {
        Reason.OK}
    assert ruling([reject(rules=asked)], body=b'{"amount": 6}').reason is Reason.ACCESS_REJECTED


def test_client_made_one_by_one_has_its_own_roles() -> None:
    known = book([])
    assert (known.roles("p", "made"), known.roles("p", "nobody"), known.roles("q", "c")) == (
        {"reader"}, frozenset(), frozenset())


def test_observing_policy_reports_what_it_would_have_done() -> None:
    looked = case(book([reject("watch", mode="observe")]))
    assert decide(looked).reason is Reason.OK
    assert looked.observed == ["watch:reject"]
    denied = case(book([accept("trial", mode="observe")], auth="deny"))
    assert decide(denied).reason is Reason.ACCESS_REJECTED
    assert denied.observed == ["trial:accept"]


SOME_RULES = st.lists(st.sampled_from([
    {"role": "reader"}, {"role": {"is_not": "editor"}}, {"ip": "10.0.0.0/8"}, {"ip": {"not_in": ["10.1.0.0/16"]}},
    {"method": "GET"}, {"header": {"name": "x", "exists": True}}, {"when": "header.x == 'y'"},
    {"authenticated": True}]), max_size=3)
POLICIES = st.lists(st.builds(
    lambda action, rules, mode, globs: {"action": action, "rules": rules, "mode": mode, "operations": globs},
    st.sampled_from(["accept", "reject"]), SOME_RULES, st.sampled_from(["enforce", "observe"]),
    st.sampled_from([["*"], ["get-*"], ["make-thing", "open"]])), max_size=5).map(
        lambda found: [{**policy, "name": f"p{index}"} for index, policy in enumerate(found)])
CALLS = st.fixed_dictionaries({
    "operation": st.sampled_from(["get-thing", "make-thing", "open"]),
    "client_ip": st.sampled_from(["10.1.2.3", "::1"]),
    "headers": st.sampled_from([{}, {"x": "y"}, {"x": "z"}])})
AUTH = st.sampled_from(["token", "deny"])


@given(POLICIES, CALLS, AUTH, st.randoms())
def test_order_of_policies_never_changes_whether_a_call_is_let_in(
        policies: list[dict[str, Any]], call: dict[str, Any], auth: str, random: Any) -> None:
    shuffled = random.sample(policies, len(policies))
    assert ruling(policies, auth=auth, **call).reason is ruling(shuffled, auth=auth, **call).reason


@given(POLICIES, CALLS, AUTH)
def test_observing_policies_never_change_an_outcome(
        policies: list[dict[str, Any]], call: dict[str, Any], auth: str) -> None:
    enforced = [policy for policy in policies if policy["mode"] == "enforce"]
    left, right = ruling(policies, auth=auth, **call), ruling(enforced, auth=auth, **call)
    assert (left.reason, str(left.refusal)) == (right.reason, str(right.refusal))


@given(POLICIES, CALLS, AUTH, SOME_RULES)
def test_one_more_reject_never_admits_more(
        policies: list[dict[str, Any]], call: dict[str, Any], auth: str, rules: list[Any]) -> None:
    more = ruling([*policies, reject("more", rules=rules)], auth=auth, **call)
    assert more.reason is not Reason.OK or ruling(policies, auth=auth, **call).reason is Reason.OK
