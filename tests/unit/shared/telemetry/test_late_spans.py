"""Traces that are made afterwards."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.traceparent import TraceContext
from shared.names import spans
from shared.telemetry.late_spans import LateTrace, hop_spans, late_spans
from shared.telemetry.span import Kind, Span

TRACE = TraceContext("a" * 32, "b" * 16, sampled=False)
HOPS = ["GET /p/things", "send weir.requests.edge", "process weir.requests.edge", "send weir.executions",
        "process weir.executions", "workflow w", "send weir.replies", "process weir.replies"]


def made(**more: Any) -> list[Span]:
    found: list[Span] = []
    facts: dict[str, Any] = {
        "trace": TRACE, "began_us": 1_000_000, "ended_us": 1_100_000, "published_us": 1_000_300, "request_id": "r",
        "project": "p", "operation": "o", "workflow": "w", "status": 502, "reason": "upstream-failed",
        "server": ("GET /p/things", {}), "client": "c",
        "timing": {"policy-queue": 1000, "policy": 200, "executor-queue": 2000, "executor": 90_000}}
    late_spans(LateTrace(**{**facts, **more}), found.append)
    return found


def nested(found: list[Span], *, answered_by_root: bool = True) -> None:
    """One root, no orphan, nothing before what it follows from; at the edge nothing after the end of the request."""
    by_id = {span.context.span_id: span for span in found}
    assert len(by_id) == len(found)
    roots = [span for span in found if not span.parent_id]
    assert len(roots) == 1
    for span in found:
        assert roots[0].start_ns <= span.start_ns <= span.end_ns
        assert span.end_ns <= roots[0].end_ns or not answered_by_root
        if span.parent_id:
            assert by_id[span.parent_id].start_ns <= span.start_ns
            if span.kind is Kind.INTERNAL:
                assert span.end_ns <= by_id[span.parent_id].end_ns


def test_failed_request_has_every_hop_with_its_queue_and_its_work() -> None:
    found = made()
    nested(found)
    assert [span.name for span in found] == HOPS
    executor = found[4]
    assert (executor.end_ns - executor.start_ns, executor.attributes[spans.QUEUE_US]) == (90_000_000, 2000)
    assert (executor.resource.service, executor.attributes[spans.CLIENT]) == ("weir-executor", "c")
    assert [span.name for span in found if span.error is not None] == [
        "GET /p/things", "process weir.executions", "workflow w"]
    assert all(span.attributes[spans.LATE] is True for span in found)


def test_steps_stand_one_after_the_other_and_the_failed_one_says_so() -> None:
    found = made(failed_step="b", timing={"policy": 1, "executor": 90_000, "step a": 30_000, "step b": 60_000})
    nested(found)
    a, b = (span for span in found if span.name.startswith("step"))
    assert (a.end_ns, b.end_ns - b.start_ns) == (b.start_ns, 60_000_000)
    assert (a.error, b.error) == (None, "upstream-failed")


def test_refused_request_ends_at_policy() -> None:
    found = made(status=503, reason="unavailable", timing={"policy-queue": 1000, "policy": 200})
    nested(found)
    assert [span.name for span in found] == [*HOPS[:3], *HOPS[6:]]
    assert found[2].error == "unavailable"


def test_request_that_never_left_the_edge_is_one_span() -> None:
    assert [span.name for span in made(published_us=0, answered=False, timing={})] == HOPS[:1]


def test_without_an_answer_it_says_so_and_the_hops_come_with_a_late_one() -> None:
    found = made(answered=False, timing={}, status=504, reason="timeout")
    assert [span.name for span in found] == HOPS[:2]
    assert [name for _, name, _ in found[0].events] == [spans.NO_REPLY]
    more: list[Span] = []
    hop_spans(LateTrace(trace=TRACE, began_us=1_000_000, ended_us=1_900_000, published_us=1_000_300, request_id="r",
                        project="p", operation="o", workflow="w", status=200, reason="ok", answered=False,
                        timing={"policy": 200, "executor": 800_000}), more.append)
    assert [span.name for span in more] == HOPS[2:6]
    assert more[0].parent_id == found[0].context.span_id


def test_internal_call_begins_at_policy() -> None:
    found = made(server=None, source="internal", reply_topic="replies.shop")
    nested(found, answered_by_root=False)
    assert [span.name for span in found] == [
        "process weir.requests.internal", *HOPS[3:6], "send replies.shop"]


@given(st.dictionaries(st.sampled_from(["policy-queue", "policy", "executor-queue", "executor", "step a", "step b"]),
                       st.integers(-10, 10**7)), st.integers(0, 10**6), st.integers(0, 10**6))
def test_whatever_the_times_say_all_is_nested(timing: dict[str, int], before: int, took: int) -> None:
    nested(made(timing=timing, published_us=1_000_000 + before, ended_us=1_000_000 + before + took))
