"""Idempotency keys: whose they are, and what may run under them."""

from typing import Any

import pytest

from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.reply import ReplyRecord
from shared.decision.case import Case, Claim
from shared.decision.checks.idempotency import may_run
from shared.decision.decide import look
from shared.names.reasons import Reason
from tests.support.calls import OPERATIONS, book, case


def looked(**call: Any) -> Case:
    found = case(book([]), **{"key": "k-1", **call})
    assert look(found) is None
    return found


def claimed(**call: Any) -> Claim:
    claim = looked(**call).claim
    assert claim is not None
    return claim


def test_key_belongs_to_one_client_and_one_operation() -> None:
    keys = [claimed(**call).key for call in (
        {}, {"operation": "make-thing"}, {"key": "k-2"}, {"operation": "open", "token": None},
        {"operation": "open", "token": None, "client_ip": "10.9.9.9"}, {"operation": "open"})]
    assert len(set(keys)) == len(keys)
    assert claimed(client_ip="10.9.9.9", body=b"other").key == keys[0]
    assert "k-1" not in keys[0]


def test_what_was_asked_is_body_query_and_parameters() -> None:
    digests = [claimed(**call).digest for call in ({}, {"body": b"x"}, {"query": {"a": ["1"]}})]
    assert len(set(digests)) == 3
    assert claimed(headers={"x": "y"}).digest == digests[0]
    assert len({claimed(query=query).digest for query in ({"a": ["1"], "b": []}, {"b": [], "a": ["1"]})}) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\x00"])
def test_key_of_another_form_is_refused(key: str) -> None:
    decision = look(case(book([]), key=key))
    assert decision is not None
    assert decision.reason is Reason.INPUT_INVALID


def test_key_can_be_required() -> None:
    required = book([], operations=[{**OPERATIONS[0], "idempotency": {"required": True, "keep": "1h"}}])
    decision = look(case(required))
    assert decision is not None
    assert "needs an idempotency key" in str(decision.refusal)
    found = case(required, key="k")
    assert look(found) is None
    assert found.claim is not None
    assert found.claim.keep_ms == 3_600_000
    assert looked(key=None).claim is None


def test_key_is_held_for_as_long_as_the_call_may_run_and_its_record_may_come_again() -> None:
    assert (claimed().hold_ms, claimed(key="x" * 255).hold_ms) == (360_000, 360_000)


def test_what_is_kept_under_a_key_decides() -> None:
    here = looked(request_id="mine")
    assert here.claim is not None
    answer = ReplyRecord(request_id="first", status=201, body=b"\n{}\n", headers={"Location": "/1"})
    done = KeptAnswer.of(answer, here.claim.digest)
    running = KeptAnswer(request_id="first", digest=here.claim.digest)
    assert KeptAnswer.from_bytes(done.to_bytes()) == done
    assert KeptAnswer.from_bytes(done.to_bytes().replace(b'{"request_id"', b'{"newer":1,"request_id"', 1)) == done
    assert (may_run(here, "mine", None), may_run(here, "mine", done), may_run(here, "first", running)) == (None,) * 3
    refusals = [may_run(here, "mine", kept) for kept in (running, KeptAnswer(request_id="first", digest="other"),
                                                         KeptAnswer.of(answer, "other"))]
    assert [(refusal.status, refusal.reason) for refusal in refusals if refusal is not None] == [
        (409, Reason.IDEMPOTENCY_RUNNING), (409, Reason.IDEMPOTENCY_MISMATCH), (409, Reason.IDEMPOTENCY_MISMATCH)]
