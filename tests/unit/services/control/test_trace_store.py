"""What the built-in trace store finds, and what it forgets."""

import time
import tracemalloc
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList

from services.control.trace_store import Search, TraceStore
from shared.contracts.traceparent import TraceContext
from shared.names import spans
from shared.telemetry.late_spans import LateTrace, late_spans
from shared.telemetry.otlp import export_request
from shared.telemetry.span import Kind, Resource, Span
from shared.telemetry.tracing import Tracing


def call(store: TraceStore, request_id: str, took_ms: int = 5, at_ms: int = 1_000_000, **more: Any) -> TraceContext:
    """One request over all hops, as each of them exports it."""
    trace, made = TraceContext.new(sampled=False), []
    facts = {"status": 200, "reason": "ok", "project": "shop", "operation": "order", "client": "till",
             "server": ("POST /shop/orders", {spans.HTTP_STATUS: more.get("status", 200)}),
             "timing": {"policy": 10, "executor": 20}, **more}
    late_spans(LateTrace(trace=trace, began_us=at_ms * 1000, ended_us=(at_ms + took_ms) * 1000,
                         published_us=at_ms * 1000 + 1, request_id=request_id, **facts), made.append)
    for span in reversed(made):
        store.add(export_request([span]))
    return trace


def found(store: TraceStore, **wanted: Any) -> list[str]:
    return [seen.request_id for seen in store.search(Search(**wanted))]


def test_requests_are_found_by_every_dimension_newest_first() -> None:
    store = TraceStore(100)
    call(store, "a", took_ms=900)
    call(store, "b", status=502, reason="upstream-failed", at_ms=2_000_000)
    call(store, "c", project="desk", operation="look", client="", at_ms=3_000_000)
    assert found(store) == ["c", "b", "a"]
    assert found(store, project="shop") == ["b", "a"]
    assert found(store, operation="look") == ["c"]
    assert found(store, client="till") == ["b", "a"]
    assert found(store, status=502) == found(store, status=5) == found(store, errors=True) == ["b"]
    assert found(store, min_us=500_000) == ["a"]
    assert found(store, since_ms=2_000_000, until_ms=3_000_000) == ["b"]


def test_what_is_said_of_a_request_does_not_depend_on_which_hop_exports_first() -> None:
    store = TraceStore(100)
    call(store, "a", took_ms=700, status=504, reason="timeout")
    seen = next(store.search(Search()))
    assert (seen.status, seen.reason, seen.client, seen.duration_us, seen.failed, seen.late) == (
        504, "timeout", "till", 700_000, True, True)


def test_a_trace_is_found_by_either_id_with_its_spans_in_order() -> None:
    store = TraceStore(100)
    trace = call(store, "a")
    for known in ("a", trace.trace_id):
        by_id = store.find(known)
        assert by_id is not None
        assert (by_id[0], by_id[1][0].name, by_id[1][0].kind) == (trace.trace_id, "POST /shop/orders", "server")
    assert store.find("b") is None


def test_the_oldest_go_when_the_bytes_or_the_traces_are_too_many() -> None:
    few = TraceStore(2)
    small = TraceStore(100, max_bytes=2_500)
    for store in (few, small):
        for number in range(5):
            call(store, f"r{number}")
        assert found(store)[0] == "r4"
        assert len(store) == len(found(store)) <= 2
        assert store.find("r0") is None


def test_work_that_failed_after_its_caller_was_told_is_a_failure() -> None:
    store = TraceStore(100)
    call(store, "a", status=500, reason="workflow-failed", told_us=1_000_000_500,
         server=("POST /shop/orders", {spans.HTTP_STATUS: 202}))
    seen = next(store.search(Search(errors=True)))
    assert (seen.status, seen.reason, seen.duration_us) == (500, "workflow-failed", 500)


def test_span_that_names_many_traces_is_shown_with_each() -> None:
    store, analytics, later = TraceStore(100), Tracing("analytics", "analytics-0"), TraceStore(100)
    # counted before the first hop has exported anything
    traces = [call(store, "a"), call(later, "b")]
    counted = analytics.start("process weir.usage", TraceContext.new(sampled=True), Kind.CONSUMER)
    assert counted is not None
    counted.links = traces
    counted.end()
    store.add(export_request(analytics.take()[0]))
    made: list[Span] = []
    Span("process", Kind.CONSUMER, traces[1], Resource("weir-policy"), made.append).end()
    made[0].note({spans.REQUEST_ID: "b"})
    store.add(export_request(made))
    for name in "ab":
        by_id = store.find(name)
        assert by_id is not None
        assert [row.service for row in by_id[2]] == ["weir-analytics"]
    assert len(store) == 2


def test_a_trace_keeps_so_many_spans_and_no_more() -> None:
    store, trace, made = TraceStore(10), TraceContext.new(sampled=True), []
    for _ in range(1_200):
        Span("step a", Kind.INTERNAL, trace, Resource("weir-executor"), made.append).end()
    store.add(export_request(made))
    by_id = store.find(trace.trace_id)
    assert by_id is not None
    assert len(by_id[1]) == 1_000


def test_span_of_many_traces_is_kept_once() -> None:
    store = TraceStore(1_000)
    span = Span("process", Kind.CONSUMER, TraceContext.new(sampled=True), Resource("analytics"), lambda _: None)
    span.links = [call(store, f"r{number}") for number in range(500)]
    export = export_request([span])
    tracemalloc.start()
    store.add(export)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(export) > 10_000
    assert kept < 20 * len(export)
    assert all((found := store.find(link.trace_id)) and found[2] for link in span.links)


OTHERS = {"list": AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)])), "none": AnyValue(),
          "map": AnyValue(kvlist_value=KeyValueList()), "bytes": AnyValue(bytes_value=b"\xff"),
          "number": AnyValue(int_value=2**62), "not a number": AnyValue(double_value=float("nan")),
          "text": AnyValue(string_value="x"), "boolean": AnyValue(bool_value=True)}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_attributes_that_somebody_else_uses_for_something_else_stop_nobody(other: AnyValue) -> None:
    store, trace = TraceStore(100), b"t" * 16
    names = [spans.REQUEST_ID, spans.PROJECT, spans.OPERATION, spans.CLIENT, spans.STATUS, spans.REASON, spans.SOURCE]
    for wrong in (*names, spans.SERVICE_NAME, spans.SERVICE_INSTANCE):
        export = ExportTraceServiceRequest()
        resource = export.resource_spans.add()
        resource.resource.attributes.add(key=wrong).value.CopyFrom(other)
        span = resource.scope_spans.add().spans.add(kind=2, trace_id=trace)  # type: ignore[arg-type]
        span.attributes.add(key=spans.REQUEST_ID).value.string_value = "r"
        span.attributes.add(key=wrong).value.CopyFrom(other)
        store.add(export.SerializeToString())
    for status in (None, 5, 502):
        assert len(list(store.search(Search(status=status, errors=status is not None)))) <= 2
    known = store.find(trace.hex())
    assert known is not None
    assert orjson.dumps(known)


@pytest.mark.parametrize("kind", [6, 77, -1, -77])
def test_kind_of_span_that_nobody_knows_is_shown_as_none(kind: int) -> None:
    export = ExportTraceServiceRequest()
    export.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16).kind = kind  # type: ignore[assignment]
    store = TraceStore(100)
    store.add(export.SerializeToString())
    known = store.find((b"t" * 16).hex())
    assert known is not None
    assert known[1][0].kind == "unspecified"


def test_span_with_as_many_links_as_a_record_holds_takes_no_time() -> None:
    export = ExportTraceServiceRequest()
    span = export.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16)
    for number in range(30_000):
        span.links.add(trace_id=number.to_bytes(16, "big"))
    store, began = TraceStore(100), time.process_time()
    store.add(export.SerializeToString())
    assert time.process_time() - began < 2
