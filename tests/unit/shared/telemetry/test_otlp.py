"""Our spans, read back by the official classes of OTLP."""

from typing import Any

from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.contracts.traceparent import TraceContext
from shared.kafka.spans import SpanExport
from shared.names import spans
from shared.runtime.tasks import Tasks
from shared.telemetry.late_spans import LateTrace
from shared.telemetry.metrics import Metrics
from shared.telemetry.otlp import export_request
from shared.telemetry.span import Kind, Resource, Span
from shared.telemetry.tracing import MAX_HELD, Tracing
from tests.support.fakes import FakeOutbox

VALUES = st.one_of(st.text(max_size=200), st.booleans(), st.integers(-2**63, 2**63 - 1), st.floats(allow_nan=False))


def official(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind)


@given(st.dictionaries(st.text(min_size=1, max_size=50), VALUES, max_size=6), st.text(max_size=300))
def test_whatever_a_span_says_the_official_decoder_reads(attributes: dict[str, Any], name: str) -> None:
    under = TraceContext.new(sampled=True)
    span = Span(name, Kind.CONSUMER, under, Resource("weir-t", "t-0"), lambda _: None)
    span.note(attributes)
    span.event("retry", attributes)
    span.links = [under]
    span.end()
    found = ExportTraceServiceRequest.FromString(export_request([span]))
    read = found.resource_spans[0].scope_spans[0].spans[0]
    assert (read.trace_id.hex(), read.span_id.hex(), read.name) == (
        under.trace_id, span.context.span_id, name.encode("utf-8", "replace").decode())
    assert (read.kind, read.start_time_unix_nano, read.end_time_unix_nano) == (5, span.start_ns, span.end_ns)
    for said in (read.attributes, read.events[0].attributes):
        assert {item.key: official(item.value) for item in said} == attributes
    assert (read.events[0].name, read.events[0].time_unix_nano) == ("retry", span.events[0][0])
    assert (read.links[0].trace_id.hex(), read.links[0].span_id.hex()) == (under.trace_id, under.span_id)
    assert read.status.code == 0


def test_spans_are_grouped_by_who_made_them_and_failures_say_why() -> None:
    made = []
    for service, parent in (("weir-a", TraceContext.new(sampled=True)),
                            ("weir-b", TraceContext("a" * 32, "b" * 16, sampled=True))):
        span = Span("process x", Kind.INTERNAL, parent, Resource(service), lambda _: None)
        span.fail("it broke", "upstream-failed")
        span.end()
        made.append(span)
    found = MessageToDict(ExportTraceServiceRequest.FromString(export_request(made)))
    services = [one["resource"]["attributes"][0]["value"]["stringValue"] for one in found["resourceSpans"]]
    assert services == ["weir-a", "weir-b"]
    first, second = (one["scopeSpans"][0]["spans"][0] for one in found["resourceSpans"])
    assert first["status"] == {"message": "it broke", "code": "STATUS_CODE_ERROR"}
    assert "parentSpanId" not in first, "what begins a trace has no parent"
    assert "parentSpanId" in second
    assert first["attributes"] == [{"key": spans.ERROR_TYPE, "value": {"stringValue": "upstream-failed"}}]


def test_nothing_is_made_for_an_unsampled_request() -> None:
    tracing = Tracing("t", "t-0")
    with tracing.span("step a", TraceContext.new(sampled=False)) as span:
        assert span is None
    assert tracing.send("weir.replies", TraceContext.new(sampled=False)) is None
    assert tracing.take() == ([], 0)


def test_times_that_make_no_sense_stop_nobody() -> None:
    tracing = Tracing("t", "t-0")
    late = LateTrace(trace=TraceContext.new(sampled=False), began_us=1, ended_us=2, request_id="r", project="p",
                     operation="o", status=500, reason="x", timing={"policy": "much"})  # type: ignore[dict-item]
    tracing.afterwards(late)
    assert tracing.take() == ([], 1)


async def test_span_that_cannot_be_written_down_is_counted_and_the_others_go_on() -> None:
    tracing, metrics, outbox = Tracing("t", "t-0"), Metrics(), FakeOutbox()
    span = tracing.start("step a", TraceContext.new(sampled=True))
    assert span is not None
    span.start_ns = -1
    span.end()
    export = SpanExport(tracing, outbox, Tasks(), metrics)  # type: ignore[arg-type]  # a double
    await export.stop()
    assert outbox.sent == []
    assert b"weir_spans_dropped_total 1.0" in metrics.text()[0]
    with tracing.span("step b", TraceContext.new(sampled=True)):
        pass
    await export.stop()
    assert len(outbox.sent) == 1


def test_spans_past_the_bound_are_dropped_and_counted() -> None:
    tracing, trace = Tracing("t", "t-0"), TraceContext.new(sampled=True)
    for _ in range(MAX_HELD + 3):
        with tracing.span("step a", trace):
            pass
    spans_, dropped = tracing.take()
    assert (len(spans_), dropped) == (MAX_HELD, 3)
    assert tracing.take() == ([], 0)
