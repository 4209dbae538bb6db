"""The built-in trace store for one machine: bounded, in memory, rebuilt from the spans topic.

In:    OTLP exports.
Out:   the spans of a trace, by request id or trace id; requests that fit a search.
Never: a delay for whoever publishes spans; more bytes than the setting allows: the oldest traces go.

Spans are read by the official classes, and kept in their wire form: read ones would take six times as much.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from shared.names import spans

_MAX_SPANS, _MAX_LINKED, _MAX_EARLY = 1_000, 20, 2_000
_ERROR = 2
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_SERVER, _CONSUMER = 2, 5
# what a span says of its request: our name of it, and the attributes that may have it
_FACTS = {spans.REQUEST_ID: "request_id", spans.PROJECT: "project", spans.OPERATION: "operation",
          spans.CLIENT: "client", spans.STATUS: "status", spans.REASON: "reason", spans.SOURCE: "source"}
# what one hop finds says nothing about those after it
_ADMITTED = ("reason", "ok")


# service, instance, span in its wire form
Row = tuple[str, str, bytes]


@dataclass(slots=True, kw_only=True)
class SpanRow:
    """One span; times in unix microseconds."""

    service: str
    instance: str
    name: str
    kind: str
    span_id: str
    parent_id: str
    start_us: int
    end_us: int
    failed: bool
    message: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Seen:
    """One request, as its spans tell of it; of an HTTP request its own span has the last word."""

    trace_id: str
    request_id: str
    start_us: int
    end_us: int
    project: str = ""
    operation: str = ""
    client: str = ""
    status: int = 0
    reason: str = "ok"
    source: str = ""
    failed: bool = False
    late: bool = False
    settled: bool = False

    @property
    def duration_us(self) -> int:
        """From its first span to its end."""
        return self.end_us - self.start_us

    def take(self, span: Any, said: dict[str, Any]) -> None:
        """One more span of it."""
        start_us, end_us = span.start_time_unix_nano // 1000, span.end_time_unix_nano // 1000
        self.late = self.late or spans.LATE in said
        # work that went wrong after its caller was told that it had begun is a failure, too
        self.failed = self.failed or span.status.code == _ERROR
        for attribute, name in _FACTS.items():
            value = said.get(attribute)
            # whoever writes spans may call other things by our names
            if type(value) is not (int if name == "status" else str):
                continue
            if value != "" and not (self.settled and name == "status") and (name, value) != _ADMITTED:
                setattr(self, name, value)
        if span.kind == _SERVER:
            self.settled, self.start_us, self.end_us = True, start_us, end_us
        elif not self.settled:
            self.start_us, self.end_us = min(self.start_us, start_us), max(self.end_us, end_us)


@dataclass(slots=True)
class _Trace:
    """`linked`: spans of other traces that name this one."""

    spans: list[Row] = field(default_factory=list)
    linked: list[Row] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """None: any. `status`: one (502) or a class (5). Times in unix ms."""

    project: str | None = None
    operation: str | None = None
    client: str | None = None
    status: int | None = None
    errors: bool = False
    min_us: int = 0
    since_ms: int = 0
    until_ms: int | None = None

    def fits(self, seen: Seen) -> bool:
        """Whether a request is one of those that are looked for."""
        return (self.project in (None, seen.project) and self.operation in (None, seen.operation)
                and self.client in (None, seen.client) and seen.duration_us >= self.min_us
                and self.status in (None, seen.status, seen.status // 100)
                and (seen.failed or seen.status >= 500 or not self.errors)
                and seen.start_us >= self.since_ms * 1000
                and (self.until_ms is None or seen.start_us < self.until_ms * 1000))


class TraceStore:
    """The newest traces; the oldest go when new ones do not fit."""

    def __init__(self, max_traces: int, max_bytes: int = 50_000_000) -> None:
        """Empty. `max_bytes`: of all spans in their wire form."""
        self._max, self._max_bytes, self._size = max_traces, max_bytes, 0
        self._traces: OrderedDict[str, _Trace] = OrderedDict()
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        # links to traces of which nothing has come yet
        self._early: OrderedDict[str, list[Row]] = OrderedDict()

    def __len__(self) -> int:
        """How many traces it holds."""
        return len(self._traces)

    def add(self, payload: bytes) -> None:
        """Take in an OTLP export. Raises DecodeError."""
        for resource in ExportTraceServiceRequest.FromString(payload).resource_spans:
            said = _said(resource.resource.attributes)
            service, instance = (str(said.get(name) or "") for name in (spans.SERVICE_NAME, spans.SERVICE_INSTANCE))
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self._put(service, instance, span)
        while len(self._traces) > self._max or (self._size > self._max_bytes and len(self._traces) > 1):
            _, gone = self._traces.popitem(last=False)
            self._size -= gone.size
            for request_id in gone.requests:
                self._seen.pop(request_id, None)

    def find(self, request_or_trace_id: str) -> tuple[str, list[SpanRow], list[SpanRow]] | None:
        """Trace id, its spans by start, and those of other traces that name it; None when neither id is known."""
        seen = self._seen.get(request_or_trace_id)
        trace_id = request_or_trace_id if seen is None else seen.trace_id
        trace = self._traces.get(trace_id)
        if trace is None:
            return None
        found, linked = ([_row(*one) for one in rows] for rows in (trace.spans, trace.linked))
        return trace_id, sorted(found, key=lambda row: row.start_us), linked

    def search(self, wanted: Search) -> Iterator[Seen]:
        """Requests, the newest first."""
        return (seen for seen in reversed(self._seen.values()) if wanted.fits(seen))

    def _link(self, trace_id: str, row: Row) -> None:
        trace = self._traces.get(trace_id)
        linked = self._early.setdefault(trace_id, []) if trace is None else trace.linked
        if len(linked) < _MAX_LINKED:
            linked.append(row)
        while len(self._early) > _MAX_EARLY:
            self._early.popitem(last=False)

    def _put(self, service: str, instance: str, span: Any) -> None:
        if span.links:
            # one span for the requests of many traces: it is shown with each of them, and kept once
            row = service, instance, span.SerializeToString()
            for link in span.links:
                self._link(link.trace_id.hex(), row)
            return
        trace_id = span.trace_id.hex()
        trace = self._traces.get(trace_id)
        if trace is None:
            trace = self._traces[trace_id] = _Trace(linked=self._early.pop(trace_id, []))
        if len(trace.spans) < _MAX_SPANS:
            data = span.SerializeToString()
            trace.spans.append((service, instance, data))
            trace.size += len(data)
            self._size += len(data)
        if span.kind in (_SERVER, _CONSUMER):
            said = _said(span.attributes)
            request_id = said.get(spans.REQUEST_ID)
            if request_id and isinstance(request_id, str):
                seen = self._seen.get(request_id)
                if seen is None:
                    seen = self._seen[request_id] = Seen(
                        trace_id, request_id, span.start_time_unix_nano // 1000, span.end_time_unix_nano // 1000)
                    trace.requests.append(request_id)
                seen.take(span, said)


def _row(service: str, instance: str, data: bytes) -> SpanRow:
    span = Span.FromString(data)
    return SpanRow(
        service=service, instance=instance, name=span.name,
        kind=_KINDS[span.kind if 0 <= span.kind < len(_KINDS) else 0],
        span_id=span.span_id.hex(), parent_id=span.parent_span_id.hex(), start_us=span.start_time_unix_nano // 1000,
        end_us=span.end_time_unix_nano // 1000, failed=span.status.code == _ERROR, message=span.status.message,
        attributes=_said(span.attributes), events=[
            {"name": event.name, "time_us": event.time_unix_nano // 1000, "attributes": _said(event.attributes)}
            for event in span.events])


def _said(attributes: Any) -> dict[str, Any]:
    return {item.key: _value(item.value) for item in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    found = getattr(value, kind) if kind else None
    # lists, maps and bytes have no place in a table of words
    return found if found is None or isinstance(found, str | bool | int | float) else str(found)
