"""What a call leaves behind in the metrics."""

from typing import Any

import pytest
from msgspec import structs

from services.policy.hearing import Hearing
from shared.contracts.traceparent import TraceContext
from shared.decision.amounts import Amounts
from shared.decision.decide import decide
from shared.names import headers as H
from shared.names.metrics import LIMITS_NEAR
from shared.telemetry.metrics import Metrics
from tests.support.calls import NOW, book, case
from tests.support.fakes import FakeRecord

WINDOW, BUCKET = {"limit": 10, "per": "minute"}, {"limit": 600, "per": "minute", "burst": 20}
SMOOTH = {"limit": 60, "per": "minute", "smooth": True}


@pytest.mark.parametrize(("limit", "calls", "near"), [
    (WINDOW, 9, 0), (WINDOW, 10, 1), (BUCKET, 18, 0), (BUCKET, 19, 1), (SMOOTH, 1, 0), (SMOOTH, 3, 2),
    ({"concurrent": 10}, 10, 1)])
def test_limit_is_nearly_spent_when_less_than_a_tenth_is_left_and_a_smooth_one_when_it_refuses(
        limit: dict[str, Any], calls: int, near: int) -> None:
    known, amounts, metrics = book([{"name": "fair", "action": "accept", "limits": [limit]}]), Amounts(), Metrics()
    for number in range(calls):
        looked = case(known, request_id=str(number))
        decide(looked, amounts)
        heard = Hearing(
            case=looked, record=FakeRecord(), source="edge", request_id=str(number), trace=TraceContext("", "", False),
            started_us=0, timing={"policy-queue": 0, "policy": 0}, span=None, deciding=None)
        heard.measure(metrics)
    told = metrics.registry.get_sample_value(f"{LIMITS_NEAR.name}_total", {"project": "p", "limit": "fair"})
    assert (told or 0) == near


@pytest.mark.parametrize(("prefer", "queue_us", "deadline_ms", "answer_by_ms"), [
    (None, 0, None, NOW + 30_000), (None, 5_000_999, None, NOW + 25_000), ("wait=10", 5_000_000, None, NOW + 5_000),
    (None, 0, NOW + 1_000, NOW + 1_000), ("respond-async", 0, None, 0)])
def test_caller_waits_since_its_record_was_written(
        prefer: str | None, queue_us: int, deadline_ms: int | None, answer_by_ms: int) -> None:
    looked = case(book([]))
    looked.request = structs.replace(looked.request, prefer=prefer, deadline_ms=deadline_ms)
    assert decide(looked).refusal is None
    heard = Hearing(case=looked, record=FakeRecord(), source="edge", request_id="r", trace=TraceContext("", "", False),
                    started_us=0, timing={"policy-queue": queue_us}, span=None, deciding=None)
    assert heard.answer_by_ms == answer_by_ms


@pytest.mark.parametrize(("source", "chosen", "letter", "holders"), [
    # the edge's ids are its own; one that policy makes is of the record's place
    ("edge", "r", None, ["r", "r"]), ("internal", None, None, ["r", "r"]),
    ("internal", "r", None, ["r@t/0/0", "r@t/0/1"]), ("internal", "r", b"x", ["r@t/0/0", "r@t/0/1"]),
    # whoever sends a dead letter once more has nothing done again that was done the last time
    ("internal", "r", b"7", ["r@letter/7", "r@letter/7"])])
def test_record_that_a_publisher_writes_twice_holds_what_it_holds_twice(
        source: str, chosen: str | None, letter: bytes | None, holders: list[str]) -> None:
    looked = case(book([]))
    looked.request = structs.replace(looked.request, request_id=chosen)
    heard = [Hearing(case=looked, record=FakeRecord(offset=offset, headers=[(H.REPLAY_OF, letter)]), source=source,
                     request_id="r", trace=TraceContext("", "", False), started_us=0, timing={}, span=None,
                     deciding=None) for offset in range(2)]
    assert [one.holder for one in heard] == holders
