"""Spans, made only for sampled requests.

In:    a trace context as it came with a record; names from `names/spans.py`.
Out:   ended spans, as OTLP protobuf, handed to whoever publishes them.
Never: a span object for an unsampled request: one would cost 25 µs and 70 µs more to encode.

Spans end in `_Finished`, a list that the event loop empties; nothing here waits or blocks.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from shared.contracts.traceparent import TraceContext

Attributes = Mapping[str, str | int]
MAX_HELD = 10_000


class _Finished(SpanProcessor):
    """Keeps ended spans until they are taken; past the bound they are counted and dropped."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.dropped = 0

    def on_end(self, span: ReadableSpan) -> None:
        if len(self.spans) < MAX_HELD:
            self.spans.append(span)
        else:
            self.dropped += 1

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Nothing to do."""


class Tracing:
    """The tracer of one service process."""

    def __init__(self, service: str, instance: str) -> None:
        """`service` and `instance` become resource attributes of every span."""
        self._finished = _Finished()
        provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False, resource=Resource.create(
            {"service.name": f"weir-{service}", "service.instance.id": instance, "service.namespace": "weir"}))
        provider.add_span_processor(self._finished)
        self._tracer = provider.get_tracer("weir")

    def start(self, name: str, parent: TraceContext | None, kind: SpanKind,
              attributes: Attributes | None = None, *, start_us: int | None = None) -> Span | None:
        """Open a span under `parent`; None, at no cost, when that is not sampled. `start_us`: unix microseconds."""
        if parent is None or not parent.sampled:
            return None
        return self._tracer.start_span(name, _remote(parent), kind, attributes,
                                       start_time=None if start_us is None else start_us * 1000)

    @contextmanager
    def span(self, name: str, parent: TraceContext | None, kind: SpanKind = SpanKind.INTERNAL,
             attributes: Attributes | None = None) -> Iterator[Span | None]:
        """Open a span for a block of code; an exception marks it as failed and goes on."""
        opened = self.start(name, parent, kind, attributes)
        try:
            yield opened
        except Exception as exc:
            if opened is not None:
                opened.set_status(Status(StatusCode.ERROR, str(exc)))
            raise
        finally:
            if opened is not None:
                opened.end()

    def take(self) -> tuple[bytes | None, int]:
        """All spans ended since the last call as one OTLP ExportTraceServiceRequest, and how many were dropped."""
        spans, self._finished.spans = self._finished.spans, []
        dropped, self._finished.dropped = self._finished.dropped, 0
        return (encode_spans(spans).SerializeToString() if spans else None), dropped


def _remote(parent: TraceContext) -> Context:
    context = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True,
                          trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(context), Context())


def context_of(span: Span | None, otherwise: TraceContext | None) -> TraceContext | None:
    """The trace context to hand on: the span's own, or the one that came when there is no span."""
    if span is None:
        return otherwise
    own = span.get_span_context()
    return TraceContext(f"{own.trace_id:032x}", f"{own.span_id:016x}", sampled=True)


def failed(span: Span | None, what: str) -> None:
    """Mark a span as failed."""
    if span is not None:
        span.set_status(Status(StatusCode.ERROR, what))
