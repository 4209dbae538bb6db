"""Whom a JWT names: what is refused and why, whatever is signed; of several issuers the one that it names."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jws import JWSRegistry

from shared.names.reasons import Reason
from tests.support.callers import ISSUER, OTHER, SCHEME, URL, S, by, known
from tests.support.calls import NOW
from tests.support.issuer import Issuer

THEIR_URL = "https://other.example/keys"
TWO_ISSUERS = {"jwt": [SCHEME, {**SCHEME, "issuer": OTHER.name, "jwks": THEIR_URL}]}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA", "Ed25519"])
def test_token_of_the_issuer_names_client_roles_and_claims(algorithm: str) -> None:
    token = ISSUER.token(NOW, algorithm, realm={"roles": ["reader", "chief"]}, org=7)
    for audience in ("weir", ["x", "weir"]):
        decision, looked = by({"jwt": ISSUER.token(NOW, algorithm, aud=audience)})
        assert decision.reason is Reason.OK
    decision, looked = by({"jwt": token})
    assert (decision.reason, looked.client, looked.roles) == (Reason.OK, "shop", {"reader", "chief"})
    assert looked.facts.claims["org"] == 7


BAD: list[tuple[dict[str, Any], dict[str, Any], Reason]] = [
    ({"iss": "https://evil.example"}, {}, Reason.CREDENTIALS_INVALID),
    ({"aud": "other"}, {}, Reason.CREDENTIALS_INVALID),
    ({"aud": None}, {}, Reason.CREDENTIALS_INVALID), ({"exp": S - 60}, {}, Reason.CREDENTIALS_EXPIRED),
    ({"exp": S - 59}, {}, Reason.OK), ({"exp": None}, {}, Reason.CREDENTIALS_INVALID),
    ({"exp": "soon"}, {}, Reason.CREDENTIALS_INVALID), ({"exp": True}, {}, Reason.CREDENTIALS_INVALID),
    ({"nbf": S + 61}, {}, Reason.CREDENTIALS_INVALID), ({"nbf": S + 60}, {}, Reason.OK),
    ({"sub": ""}, {}, Reason.CREDENTIALS_INVALID), ({"sub": 5}, {}, Reason.CREDENTIALS_INVALID),
    ({"sub": "x" * 201}, {}, Reason.CREDENTIALS_INVALID), ({"sub": None}, {}, Reason.CREDENTIALS_INVALID),
    ({}, {"kid": "none-such"}, Reason.CREDENTIALS_INVALID),
    ({}, {"kid": "https://id.example-rsa"}, Reason.CREDENTIALS_INVALID),
]


@pytest.mark.parametrize(("claims", "header", "reason"), BAD, ids=[f"{claims}{header}" for claims, header, _ in BAD])
def test_token_is_refused_for_its_own_reason(claims: dict[str, Any], header: dict[str, Any], reason: Reason) -> None:
    decision, _ = by({"jwt": ISSUER.token(NOW, header=header, **claims)})
    assert decision.reason is reason
    if decision.refusal is not None:
        assert decision.refusal.headers["WWW-Authenticate"].startswith("Bearer")


def of_claims(payload: bytes) -> str:
    key = ISSUER.keys["ES256"]
    return jws.serialize_compact({"alg": "ES256", "kid": str(key.kid)}, payload, key)


GOOD = {"iss": ISSUER.name, "aud": "weir", "sub": "shop", "exp": S + 300}
HUGE, ODD = 10 ** 400, [{}, {"a": 1}, [], [[]], "", "weir", "1e9", None, True, False, float("nan"), float("inf"), -1.5]


@pytest.mark.parametrize(("claim", "value", "reason"), [
    *(("exp", value, "`exp`") for value in ("1e9", {}, [S + 9], None, True)),
    *(("nbf", value, "`nbf`") for value in ("1e9", {}, [S - 9], None, False)),
    *(("iat", value, "`iat`") for value in ("1e9", {}, [S - 9], None, False)),
    *(("iss", value, "issuer") for value in ({}, [ISSUER.name], None, 5, True)),
    *(("aud", value, "`aud`") for value in ({}, {"weir": 1}, 5, None, True, [["weir"]], ["weir", {}], ["weir", 5])),
    *((claim, value, "cannot be verified") for claim in ("exp", "nbf", "iat", "iss", "aud", "sub", "more")
      for value in (float("nan"), float("inf"), -float("inf"), HUGE, [{"deep": float("nan")}], "\ud800"))])
def test_claim_of_a_wrong_type_is_refused_by_its_name(claim: str, value: Any, reason: str) -> None:
    decision, _ = by({"jwt": of_claims(json.dumps({**GOOD, claim: value}).encode())})
    assert decision.reason is Reason.CREDENTIALS_INVALID
    assert reason in str(decision.refusal)


@pytest.mark.parametrize(("claim", "reason"), [("iss", "issuer"), ("aud", "`aud`"), ("exp", "`exp`"), ("sub", "'sub'")])
def test_claim_that_is_not_there_is_missed_by_its_name(claim: str, reason: str) -> None:
    claims = {name: value for name, value in GOOD.items() if name != claim}
    for here in (known(), known(TWO_ISSUERS)):
        decision, _ = by({"jwt": of_claims(json.dumps(claims).encode())}, here)
        assert decision.reason is Reason.CREDENTIALS_INVALID
        assert reason in str(decision.refusal)


@pytest.mark.parametrize("iat", [S, S + 0.5, S + 400])
def test_time_of_issue_is_a_number_and_judges_nothing(iat: float) -> None:
    assert by({"jwt": ISSUER.token(NOW, iat=iat, nbf=S - 0.5, exp=S + 0.5)})[0].reason is Reason.OK


TEXTS = st.text(st.characters() | st.just("\ud800"), max_size=9)
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=9)
LOOKING = known(policies=[
    {"name": "rule", "action": "reject", "rules": [{"claim": {"name": "/more/a", "is": "x"}}]},
    {"name": "when", "action": "reject", "rules": [{"when": "claim.more == 'x' || size(claim) > 40"}]},
    {"name": "fair", "action": "accept", "limits": [{"limit": 1_000_000, "per": "day", "by": "claim:more"}]}])


@given(st.dictionaries(st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "realm", "more"]), ANY_JSON))
def test_no_claims_break_the_decision(claims: dict[str, Any]) -> None:
    decision, looked = by({"jwt": of_claims(json.dumps({**GOOD, **claims}).encode())}, LOOKING)
    assert decision.reason in {
        Reason.OK, Reason.CREDENTIALS_INVALID, Reason.CREDENTIALS_EXPIRED, Reason.ACCESS_REJECTED}
    assert looked.client.encode() or decision.reason is not Reason.OK


@pytest.mark.parametrize("begin", ["[", '{"a":'])
@pytest.mark.parametrize(("levels", "reason"), [(99, Reason.OK), (100, Reason.CREDENTIALS_INVALID),
                                                (1_000, Reason.CREDENTIALS_INVALID)])
def test_claims_are_nested_no_deeper_than_rules_can_read(begin: str, levels: int, reason: Reason) -> None:
    deep = begin * levels + "1" + {"[": "]"}.get(begin, "}") * levels
    payload = json.dumps({**GOOD, "more": 0})[:-2] + deep + "}"
    assert by({"jwt": of_claims(payload.encode())}, LOOKING)[0].reason is reason


@given(ANY_JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40) | st.sampled_from(
    [b"[" * 90_000, b'{"a":' * 20_000, b'{"exp":1' + b"0" * 5_000 + b"}"]))
def test_what_is_signed_may_be_anything(payload: bytes) -> None:
    for here in (LOOKING, known(TWO_ISSUERS)):
        assert by({"jwt": of_claims(payload)}, here)[0].reason is Reason.CREDENTIALS_INVALID


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def forged(algorithm: str, key: bytes, kid: str) -> str:
    claims = {"iss": ISSUER.name, "aud": "weir", "sub": "boss", "exp": S + 300}
    text = f"{encoded({'alg': algorithm, 'kid': kid})}.{encoded(claims)}"
    mac = hmac.new(key, text.encode(), hashlib.sha256).digest() if key else b""
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def headed(header: Any) -> str:
    """A token with this header and a signature that fits."""
    key = ISSUER.keys["ES256"]
    text = f"{encoded(header)}.{encoded(GOOD)}"
    signature = JWSRegistry.algorithms["ES256"].sign(text.encode(), key)
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("header", [
    {"cat": "cl_1", "pi.atm": "2"}, {"x5c": ["A" * 1_500] * 3}, {"more": {"a": [1]}},
    {"kid": str(ISSUER.keys["ES256"].kid)}])
def test_header_may_say_more_than_anybody_here_knows(header: dict[str, Any]) -> None:
    assert by({"jwt": headed({"alg": "ES256", **header})})[0].reason is Reason.OK


@pytest.mark.parametrize("header", [
    ["alg"], "alg", "xalgx", 5, None, {}, [["alg", "ES256"], "alg"], {"alg": ["ES256"]}, {"alg": "ES256", "typ": 5},
    *({"alg": "ES256", "crit": crit} for crit in (5, None, True, [[1]], [{}], [], "alg", ["more"], ["b64"])),
    {"alg": "ES256", "more": 1, "crit": ["more"]}, {"alg": "ES256", "b64": False, "crit": ["b64"]},
    {"alg": "ES256", "more": float("nan")}, {"alg": "ES256", "kid": "\ud800"}, {"alg": "ES256", "kid": ["a"]}])
def test_header_that_is_none_or_asks_for_more_than_is_known_here_is_refused(header: Any) -> None:
    assert by({"jwt": headed(header)})[0].reason is Reason.CREDENTIALS_INVALID


MEMBERS = st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ", "x5c", "jwk"]), ANY_JSON)
DEEP = st.sampled_from([b"[" * 4_000, b'{"alg":"ES256","a":' + b"[" * 900 + b"]" * 900 + b"}"])


@given(ANY_JSON.map(encoded) | MEMBERS.map(lambda header: encoded({"alg": "ES256", **header}))
       | DEEP.map(lambda raw: base64.urlsafe_b64encode(raw).decode()) | st.text(max_size=9))
def test_no_header_breaks_the_decision(header: str) -> None:
    for here in (LOOKING, known(TWO_ISSUERS)):
        assert by({"jwt": f"{header}.{encoded(GOOD)}.AAAA"}, here)[0].reason is Reason.CREDENTIALS_INVALID


def test_algorithm_cannot_be_confused() -> None:
    public = ISSUER.keys["RS256"].as_pem(private=False)
    kid = str(ISSUER.keys["RS256"].kid)
    for token in (forged("HS256", public, kid), forged("none", b"", kid), forged("HS256", b"", kid),
                  forged("RS256", public, kid), forged("ES256", public, str(ISSUER.keys["ES256"].kid))):
        decision, _ = by({"jwt": token})
        assert decision.reason is Reason.CREDENTIALS_INVALID, token
    narrow = known({"jwt": [{**SCHEME, "algorithms": ["RS256"]}]})
    assert by({"jwt": ISSUER.token(NOW, "ES256")}, narrow)[0].reason is Reason.CREDENTIALS_INVALID
    assert by({"jwt": ISSUER.token(NOW, "RS256")}, narrow)[0].reason is Reason.OK


def test_token_of_another_issuer_or_with_changed_claims_is_refused() -> None:
    head, _, tail = ISSUER.token(NOW).split(".")
    changed = f"{head}.{encoded({'iss': ISSUER.name, 'aud': 'weir', 'sub': 'boss', 'exp': S + 300})}.{tail}"
    for token in (changed, OTHER.token(NOW, iss=ISSUER.name), "a.b.c", "..", f"{head}..{tail}"):
        assert by({"jwt": token})[0].reason is Reason.CREDENTIALS_INVALID


def test_verified_token_still_expires() -> None:
    same, token = known(), ISSUER.token(NOW)
    assert by({"jwt": token}, same)[0].reason is Reason.OK
    assert by({"jwt": token}, same, now_ms=NOW + 400_000)[0].reason is Reason.CREDENTIALS_EXPIRED


def test_missing_keys_are_named_so_that_they_can_be_fetched() -> None:
    decision, looked = by({"jwt": ISSUER.token(NOW)}, known(key_sets={}))
    assert (decision.reason, looked.wanted_keys) == (Reason.UNAVAILABLE, URL)
    decision, looked = by({"jwt": OTHER.token(NOW, iss=ISSUER.name)})
    assert (decision.reason, looked.wanted_keys) == (Reason.CREDENTIALS_INVALID, URL)
    assert by({"jwt": ISSUER.token(NOW)})[1].wanted_keys == ""


@pytest.mark.parametrize(("theirs", "reason", "wanted"), [
    ({URL: ISSUER.key_set, THEIR_URL: OTHER.key_set}, Reason.OK, ""),
    ({THEIR_URL: OTHER.key_set}, Reason.OK, ""),
    ({URL: ISSUER.key_set}, Reason.UNAVAILABLE, THEIR_URL),
    ({URL: ISSUER.key_set, THEIR_URL: ISSUER.key_set}, Reason.CREDENTIALS_INVALID, THEIR_URL),
    ({}, Reason.UNAVAILABLE, THEIR_URL)], ids=["all", "own", "other", "unknown", "none"])
def test_of_two_issuers_only_the_one_that_the_token_names_is_asked(
        theirs: dict[str, Any], reason: Reason, wanted: str) -> None:
    for schemes in (TWO_ISSUERS["jwt"], TWO_ISSUERS["jwt"][::-1]):
        decision, looked = by({"jwt": OTHER.token(NOW)}, known({"jwt": schemes}, key_sets=theirs))
        assert (decision.reason, looked.wanted_keys) == (reason, wanted)


@pytest.mark.parametrize("token", [
    Issuer("https://third.example").token(NOW), "a.b.c", "..", f"x.{encoded([1])}.x", f"x.{encoded({'iss': {}})}.x"])
def test_keys_are_not_fetched_for_a_token_of_an_issuer_that_nobody_trusts(token: str) -> None:
    for schemes in (TWO_ISSUERS["jwt"], TWO_ISSUERS["jwt"][:1]):
        for key_sets in ({}, {URL: ISSUER.key_set}):
            decision, looked = by({"jwt": token}, known({"jwt": schemes}, key_sets=key_sets))
            assert (decision.reason, looked.wanted_keys) == (Reason.CREDENTIALS_INVALID, "")


def test_refusal_of_a_token_is_told_by_its_own_issuer() -> None:
    both = known(TWO_ISSUERS, key_sets={URL: ISSUER.key_set, THEIR_URL: OTHER.key_set})
    assert by({"jwt": OTHER.token(NOW, exp=S - 99)}, both)[0].reason is Reason.CREDENTIALS_EXPIRED


def test_issuer_that_is_listed_twice_is_asked_both_times() -> None:
    here = known({"jwt": [SCHEME, {**SCHEME, "jwks": THEIR_URL, "audience": "other"}]},
                 key_sets={THEIR_URL: ISSUER.key_set})
    decision, looked = by({"jwt": ISSUER.token(NOW, aud="other")}, here)
    assert (decision.reason, looked.wanted_keys) == (Reason.OK, "")
    assert by({"jwt": ISSUER.token(NOW)}, here)[0].reason is Reason.UNAVAILABLE


def test_scopes_of_a_token_are_roles_that_a_policy_asks_for() -> None:
    book_ = known({"jwt": [{**SCHEME, "roles": "scope"}]}, [
        {"name": "readers", "action": "reject", "rules": [{"role": {"is_not": "orders:read"}}]}])
    for scope, reason in (("orders:read orders:write", Reason.OK), ("orders:write", Reason.ACCESS_REJECTED)):
        decision, _ = by({"jwt": ISSUER.token(NOW, scope=scope)}, book_)
        assert decision.reason is reason


@pytest.mark.parametrize(("said", "roles"), [
    (["reader", 5, {}, ["editor"], None, "chief"], {"reader", "chief"}), (5, set()), ({"reader": 1}, set())])
def test_roles_of_a_token_are_the_texts_of_its_claim(said: Any, roles: set[str]) -> None:
    decision, looked = by({"jwt": ISSUER.token(NOW, realm={"roles": said})})
    assert (decision.reason, looked.roles) == (Reason.OK, roles)


def test_claims_of_a_token_are_seen_though_its_roles_are_those_of_its_client() -> None:
    book_ = known({"jwt": [{name: value for name, value in SCHEME.items() if name != "roles"}]}, [
        {"name": "gold", "action": "reject", "rules": [{"claim": {"name": "plan", "is_not": "gold"}}]}])
    for plan, reason in (("gold", Reason.OK), ("tin", Reason.ACCESS_REJECTED)):
        assert by({"jwt": ISSUER.token(NOW, plan=plan)}, book_)[0].reason is reason


def test_callers_without_a_token_of_ours_are_counted_by_their_names_and_not_by_a_common_address() -> None:
    limit = {"limit": 1, "per": "minute", "by": "token"}
    book_ = known(policies=[{"name": "few", "action": "accept", "limits": [limit]}])
    demands = [by({"jwt": ISSUER.token(NOW, sub=name)}, book_, client_ip=address)[1].demands[0].key
               for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.1"), ("a", "10.0.0.2"))]
    assert demands[0] == demands[2] != demands[1]
