"""Who calls: every kind of proof, what is refused and why; any kind that succeeds is enough."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from shared.contracts.sealed import Seal, SealBroken
from shared.decision.amounts import UNKNOWN, Amounts
from shared.decision.decide import decide, look, settle
from shared.decision.replay import Replay
from shared.decision.vault import Vault
from shared.names import topics
from shared.names.headers import JSON
from shared.names.reasons import Reason
from tests.support.callers import AUTHENTICATION, ISSUER, NEXT, OTHER, SCHEME, SECRET, URL, S, by, known
from tests.support.calls import DIGEST, NOW, OPERATIONS, SEAL, TEXT, book, case
from tests.support.issuer import signed


def message(secret: str = SECRET, message_id: str = "msg_1", at: int | str = S, body: bytes = b"{}",
            **call: Any) -> Any:
    return {"sealed": {"signature": signed(secret, message_id, at, body)}, "body": body,
            "headers": {"webhook-id": message_id, "webhook-timestamp": str(at)}, **call}


@pytest.mark.parametrize(("call", "reason"), [
    (message(), Reason.OK), (message(NEXT), Reason.OK), (message(at=S - 300), Reason.OK),
    (message(at=S - 301), Reason.CREDENTIALS_EXPIRED), (message(at=S + 301), Reason.CREDENTIALS_INVALID),
    (message("whsec_" + base64.b64encode(b"wrong").decode()), Reason.CREDENTIALS_INVALID),
    ({**message(), "body": b"{ }"}, Reason.CREDENTIALS_INVALID),
    ({**message(), "headers": {"webhook-id": "msg_2", "webhook-timestamp": str(S)}}, Reason.CREDENTIALS_INVALID),
    ({**message(), "headers": {}}, Reason.CREDENTIALS_INVALID),
    ({**message(), "headers": {"webhook-id": "msg_1", "webhook-timestamp": "1e9"}}, Reason.CREDENTIALS_INVALID),
    ({**message(), "sealed": {"signature": "v1,AAAA v2,x v1"}}, Reason.CREDENTIALS_INVALID),
    ({**message(), "sealed": {"signature": "v0,x " + signed(SECRET, "msg_1", S, b"{}")}}, Reason.OK),
    (message(body=b"\xff\x00"), Reason.OK), (message(at=S + 300), Reason.OK),
    (message(message_id=""), Reason.CREDENTIALS_INVALID), (message(message_id="x" * 200), Reason.OK),
    (message(message_id="x" * 201), Reason.CREDENTIALS_INVALID),
    # each with a signature that fits
    *((message(at=at), Reason.CREDENTIALS_INVALID) for at in (
        f" {S}", f"+{S}", str(S).translate({48 + digit: 0x660 + digit for digit in range(10)}), "\u00b2", "",
        "1" * 13, "0" * 5_000)),
    (message(at="0" * 2 + str(S)), Reason.OK),
])
def test_signed_message_is_verified(call: dict[str, Any], reason: Reason) -> None:
    call = dict(call)
    decision, looked = by(call.pop("sealed"), **call)
    assert decision.reason is reason
    assert looked.client == ("till" if reason is Reason.OK else "")


def test_signed_message_is_taken_once_but_may_be_delivered_again_by_us() -> None:
    amounts, here = Amounts(), known()
    ends = []
    for request_id, now_ms in (("a", NOW), ("a", NOW), ("b", NOW), ("c", NOW + 290_000)):
        call = message()
        looked = case(here, token=None, request_id=request_id, now_ms=now_ms, **call)
        ends.append(decide(looked, amounts).reason)
    assert ends == [Reason.OK, Reason.OK, Reason.CREDENTIALS_INVALID, Reason.CREDENTIALS_INVALID]


def test_signed_message_is_not_taken_while_nobody_knows_whether_it_came_before() -> None:
    looked = case(known(), token=None, **message())
    assert look(looked) is None
    looked.outcomes = [UNKNOWN]
    assert settle(looked).reason is Reason.UNAVAILABLE


def test_message_that_a_limit_refuses_is_not_taken() -> None:
    fair = {"name": "fair", "action": "accept", "limits": [{"limit": 1, "per": "minute"}]}
    here, amounts, ends = known(policies=[fair]), Amounts(), []
    for request_id, message_id, now_ms in (("a", "first", NOW), ("b", "second", NOW), ("c", "second", NOW + 100_000)):
        looked = case(here, token=None, request_id=request_id, now_ms=now_ms, **message(message_id=message_id))
        ends.append(decide(looked, amounts).reason)
    assert ends == [Reason.OK, Reason.RATE_LIMITED, Reason.OK]


def test_call_gives_back_the_message_that_it_has_or_may_have_taken() -> None:
    amounts, here = Amounts(), known()
    first, again, unsigned = (case(here, token=token, request_id=request_id, **call) for request_id, token, call in (
        ("a", None, message()), ("b", None, message()), ("c", DIGEST, {})))
    assert look(first) is None
    assert first.once is not None
    assert first.once_held == "", "the store was not asked"
    for looked in (first, again, unsigned):
        decide(looked, amounts)
    assert [looked.once_held for looked in (first, again, unsigned)] == [first.once.key, "", ""]
    assert first.once_taken == first.once.key
    decide(first, amounts)
    assert (first.once_held, first.once_taken) == (first.once.key, ""), "it had it already when its record came again"
    again.outcomes = [UNKNOWN]
    assert again.once_held == again.once_taken == first.once.key, "the store may have taken it before it went away"


def test_message_stays_taken_for_as_long_as_what_it_starts_may_run() -> None:
    long = [{**one, "run_timeout": "2h"} for one in OPERATIONS]
    amounts, ends = Amounts(), []
    for run, now_ms in ((long, NOW), (long, NOW + 7_100_000), (long, NOW + 7_300_000)):
        here = book([], Vault(seal=SEAL, secrets={"TILL": SECRET}), authentication=AUTHENTICATION, operations=run)
        looked = case(here, token=None, request_id=str(now_ms), now_ms=now_ms, **message(at=now_ms // 1000))
        ends.append(decide(looked, amounts).reason)
    assert ends == [Reason.OK, Reason.CREDENTIALS_INVALID, Reason.OK]


def test_message_stays_taken_for_as_long_as_its_time_may_be_good() -> None:
    short = [{**one, "timeout": "1s", "run_timeout": "1s"} for one in OPERATIONS]
    here = book([], Vault(seal=SEAL, secrets={"TILL": SECRET}), authentication=AUTHENTICATION, operations=short)
    amounts, ends = Amounts(), []
    for request_id, now_ms in (("a", NOW), ("b", NOW + 1_000), ("c", NOW + 600_000)):
        looked = case(here, token=None, request_id=request_id, now_ms=now_ms, **message(at=S + 300))
        ends.append(decide(looked, amounts).refusal)
    assert [str(refusal) for refusal in ends] == ["None"] + ["this message has been delivered before"] * 2


def test_message_that_has_come_before_spends_nothing() -> None:
    few = {"name": "few", "action": "accept", "limits": [{"limit": 2, "per": "minute"}]}
    here, amounts, ends = known(policies=[few]), Amounts(), []
    for request_id, message_id in (("a", "first"), ("b", "first"), ("c", "second")):
        looked = case(here, token=None, request_id=request_id, **message(message_id=message_id))
        ends.append(decide(looked, amounts).reason)
    assert ends == [Reason.OK, Reason.CREDENTIALS_INVALID, Reason.OK]


@pytest.mark.parametrize("call", [message(), {"sealed": {"jwt": ISSUER.token(NOW, sub="made")}},
                                  {"sealed": None, "certificate": "CN=made"}], ids=["signature", "jwt", "certificate"])
def test_caller_has_the_roles_of_its_client_whatever_its_proof(call: dict[str, Any]) -> None:
    here = known({"jwt": [{name: value for name, value in SCHEME.items() if name != "roles"}],
                  "signature": [{"client": "made", "secret": "TILL"}], "certificate": {"CN=made": "made"}})
    decision, looked = by(call["sealed"], here, **{name: value for name, value in call.items() if name != "sealed"})
    assert (decision.reason, looked.client, looked.roles) == (Reason.OK, "made", {"reader"})


def test_signature_cannot_be_verified_without_its_secret() -> None:
    decision, _ = by(message()["sealed"], known(secrets={}), headers=message()["headers"], body=b"{}")
    assert decision.reason is Reason.UNAVAILABLE
    assert "WEIR_SECRET_TILL" in str(decision.refusal)


@pytest.mark.parametrize("secret", ["my-secret", "=", f"{NEXT},{SECRET}", f"{SECRET} plain", "whsec_abcde"])
def test_secret_that_is_none_is_not_told_as_a_signature_that_does_not_fit(secret: str) -> None:
    # the second is signed with no key at all
    for call in (message("whsec_" + base64.b64encode(b"another one").decode()), message("whsec_")):
        decision, _ = by(call.pop("sealed"), known(secrets={"TILL": secret}), **call)
        assert decision.reason is Reason.UNAVAILABLE
    assert "WEIR_SECRET_TILL" in str(decision.refusal)
    assert secret not in str(decision.refusal)


def test_secret_that_is_missing_is_missed_by_its_own_client_alone() -> None:
    till, depot = {"client": "till", "secret": "TILL"}, {"client": "depot", "secret": "DEPOT"}
    for schemes in ([depot, till], [till, depot]):
        here = known({"signature": schemes})
        call = message()
        decision, looked = by(call.pop("sealed"), here, **call)
        assert (decision.reason, looked.client) == (Reason.OK, "till")
        call = message("whsec_" + base64.b64encode(b"that of the depot").decode())
        decision, _ = by(call.pop("sealed"), here, **call)
        assert decision.reason is Reason.UNAVAILABLE
        assert "WEIR_SECRET_DEPOT" in str(decision.refusal)


def test_proof_that_cannot_be_looked_at_yet_is_not_called_wrong_because_another_one_is() -> None:
    decision, _ = by({"jwt": ISSUER.token(NOW)}, known(key_sets={}), token="0" * 64, certificate="CN=else")
    assert decision.reason is Reason.UNAVAILABLE
    call = message()
    decision, _ = by(call.pop("sealed"), known(secrets={}), token="0" * 64, **call)
    assert decision.reason is Reason.UNAVAILABLE


def test_of_several_proofs_that_are_no_good_the_first_says_why() -> None:
    old = ISSUER.token(NOW, exp=S - 99)
    assert by({"jwt": old}, token="0" * 64)[0].reason is Reason.CREDENTIALS_INVALID
    assert by({"jwt": old}, certificate="CN=else")[0].reason is Reason.CREDENTIALS_EXPIRED


@pytest.mark.parametrize(("call", "vault", "why"), [
    (message(), {"secrets": {}}, "the secret TILL to verify this message with is not set (WEIR_SECRET_TILL)"),
    (message(), {"seal": None}, "the cluster key to verify these credentials with is not set (WEIR_CLUSTER_KEY)"),
    (message(), {"seal": Seal("B" * 43)}, "the credentials cannot be opened here: they were sealed under a cluster key "
     "that policy does not have (WEIR_CLUSTER_KEY), or for another request"),
    ({"sealed": {"jwt": ISSUER.token(NOW)}}, {"key_sets": {}},
     f"the keys of the token's issuer are not there yet; try again shortly ({URL})"),
    ({"sealed": {"jwt": ISSUER.token(NOW)}}, {"key_sets": {URL: OTHER.key_set}},
     f"the token is signed with a key that its issuer does not publish ({URL})")])
def test_replay_tells_apart_what_it_cannot_verify(call: dict[str, Any], vault: dict[str, Any], why: str) -> None:
    live, nobody = known(**vault), known(policies=[{"name": "none", "action": "reject"}], **vault).project("p")
    assert nobody is not None
    replay = Replay(live, live.with_project(nobody))
    replay.take(case(live, token=None, request_id="r1", **call).request, topics.REQUESTS_EDGE, NOW)
    replay.take(case(live, request_id="r2").request, topics.REQUESTS_EDGE, NOW)
    replay.take(case(live, token="0" * 64).request, topics.REQUESTS_EDGE, NOW)
    doc = replay.to_doc()
    assert doc["undecidable"] == [{"operation": "get-thing", "why": why, "requests": 1, "samples": ["r1"]}]
    assert (doc["requests"], doc["admitted_before"], doc["admitted_after"]) == (3, 1, 0)
    assert [one["samples"] for one in doc["changes"]] == [["r2"]]


def test_replay_has_nothing_undecidable_where_every_proof_can_be_verified() -> None:
    live, nobody = known(), known(policies=[{"name": "none", "action": "reject"}]).project("p")
    assert nobody is not None
    replay = Replay(live, live.with_project(nobody))
    for call in (message(), {"sealed": {"jwt": "a.b.c"}}, {"sealed": {"jwt": ISSUER.token(NOW, exp=S - 99)}},
                 {"certificate": "CN=else"}, message("whsec_" + base64.b64encode(b"wrong").decode())):
        replay.take(case(live, token=None, **call).request, topics.REQUESTS_EDGE, NOW)
    doc = replay.to_doc()
    assert (doc["requests"], doc["undecidable"], doc["admitted_before"], doc["admitted_after"]) == (5, [], 1, 0)


def test_replay_lets_a_message_come_again_that_policy_refused() -> None:
    reads = [{**one, "input": {"body": {"type": "object", "required": ["total"]}}} for one in OPERATIONS]
    few = {"name": "few", "action": "accept", "limits": [{"concurrent": 1, "by": "project"}]}
    vault = Vault(seal=SEAL, secrets={"TILL": SECRET})
    live = book([few], vault, authentication=AUTHENTICATION, operations=reads)
    nobody = book([{"name": "nobody", "action": "reject"}], vault, authentication=AUTHENTICATION).project("p")
    assert nobody is not None
    replay = Replay(live, live.with_project(nobody))
    for number, body in enumerate((b"{}", b"{}", b'{"total":1}', b'{"total":1}')):
        request = case(live, "make-thing", token=None, request_id=f"r{number}", **message(body=body)).request
        replay.take(structs.replace(request, content_type=JSON), topics.REQUESTS_EDGE, NOW)
    doc = replay.to_doc()
    assert [(one["before"], one["samples"]) for one in doc["changes"]] == [
        ("input-invalid", ["r0", "r1"]), ("ok", ["r2"]), ("credentials-invalid", ["r3"])]
    assert (doc["admitted_before"], doc["undecidable"]) == (1, []), "and its place is free at once"


def test_certificate_names_its_client() -> None:
    decision, looked = by(None, certificate="CN=depot,O=Acme")
    assert (decision.reason, looked.client) == (Reason.OK, "depot")
    assert by(None, certificate="CN=else")[0].reason is Reason.CREDENTIALS_INVALID


def test_any_kind_that_succeeds_is_enough() -> None:
    decision, looked = by({"jwt": "a.b.c"}, token=DIGEST, certificate="CN=else")
    assert (decision.reason, looked.client) == (Reason.OK, "c")
    decision, looked = by({"jwt": ISSUER.token(NOW)}, token="0" * 64)
    assert (decision.reason, looked.client) == (Reason.OK, "shop")


def test_token_in_the_place_of_its_digest_is_told_to_be_one() -> None:
    decision, _ = by(None, token=TEXT)
    assert decision.reason is Reason.CREDENTIALS_INVALID
    assert "a token itself" in str(decision.refusal)
    assert TEXT not in str(decision.refusal)


def test_call_without_a_proof_is_told_which_kinds_there_are() -> None:
    decision, _ = by(None)
    assert decision.reason is Reason.CREDENTIALS_MISSING
    assert "a JWT as" in str(decision.refusal)
    assert "client certificate" in str(decision.refusal)
    assert "API key" not in str(decision.refusal)


def test_kinds_of_an_operation_narrow_those_of_the_project() -> None:
    operations = [{"name": "get-thing", "method": "GET", "path": "/t", "workflow": "w", "authentication": ["token"]}]
    narrow = book([], Vault(seal=SEAL, key_sets={URL: ISSUER.key_set}), authentication=AUTHENTICATION,
                  operations=operations)
    assert by({"jwt": ISSUER.token(NOW)}, narrow)[0].reason is Reason.CREDENTIALS_MISSING
    assert by(None, narrow, certificate="CN=depot,O=Acme")[0].reason is Reason.CREDENTIALS_MISSING
    narrow.vault.secrets = {"TILL": SECRET}
    call = message()
    assert by(call.pop("sealed"), narrow, **call)[0].reason is Reason.CREDENTIALS_MISSING


def test_sealed_credentials_open_for_their_own_request_alone() -> None:
    looked = case(known(), token=None, sealed={"jwt": ISSUER.token(NOW)}, request_id="mine")
    stolen = case(known(), token=None, request_id="yours")
    stolen.request = structs.replace(stolen.request, sealed=looked.request.sealed)
    assert decide(stolen).reason is Reason.UNAVAILABLE
    assert decide(looked).reason is Reason.OK
    assert by({"jwt": "a.b.c"}, known(seal=None))[0].reason is Reason.UNAVAILABLE


def test_cluster_key_is_replaced_in_two_rounds_and_what_nobody_can_open_is_not_its_callers_fault() -> None:
    old, new = "A" * 43, "B" * 43
    # as the services of the edge and of policy have it, one of them restarted before the other
    for edge, policy, reason in ((old, f"{old},{new}", Reason.OK), (f"{old},{new}", old, Reason.OK),
                                 (f"{new},{old}", f"{old},{new}", Reason.OK), (f"{new},{old}", new, Reason.OK),
                                 (f"{new},{old}", old, Reason.UNAVAILABLE)):
        looked = case(known(seal=Seal(policy)), token=None, request_id="r")
        sealed = Seal(edge).close({"jwt": ISSUER.token(NOW)}, "r")
        looked.request = structs.replace(looked.request, sealed=sealed)
        assert decide(looked).reason is reason


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=99), max_size=3), st.text(max_size=40))
def test_seal_opens_what_it_has_closed_and_nothing_else(secrets: dict[str, str], request_id: str) -> None:
    text = SEAL.close(secrets, request_id)
    assert SEAL.open(text, request_id) == secrets
    for other, wrong in ((SEAL, request_id + "x"), (Seal("B" * 43), request_id)):
        with pytest.raises(SealBroken):
            other.open(text, wrong)


@pytest.mark.parametrize("key", ["", "short", "A" * 44, "ä" * 43])
def test_key_of_another_form_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        Seal(key)


def test_secrets_of_signatures_are_those_of_the_environment_and_are_shown_to_nobody() -> None:
    vault = Vault.of(SEAL, {"WEIR_SECRET_TILL": SECRET, "WEIR_SECRET": "x", "MY_WEIR_SECRET_TILL": "y", "PATH": "z"})
    assert (vault.seal, vault.secrets) == (SEAL, {"TILL": SECRET})
    assert SECRET not in repr(vault)


@given(st.text(max_size=60))
def test_no_text_opens_by_chance(text: str) -> None:
    with pytest.raises(SealBroken):
        SEAL.open(text, "r")


@pytest.mark.parametrize(("key", "says"), [
    ({"header": "X-Api-Key"}, "an API key in the header x-api-key"),
    ({"query": "key"}, "an API key in the query parameter key"),
    ({"header": "X-Api-Key", "query": "key"}, "an API key in the header x-api-key or the query parameter key")])
def test_who_comes_without_a_key_is_told_where_it_stands(key: dict[str, str], says: str) -> None:
    decision, _ = by(None, known({"token": False, "api_key": key}))
    assert decision.reason is Reason.CREDENTIALS_MISSING
    assert f"needs {says};" in str(decision.refusal)
