"""Spans of one process, made only for sampled requests.

In:    a trace context as it came with a record; names from `names/spans.py`.
Out:   ended spans, handed to whoever publishes them.
Never: a span object for an unsampled request; a wait: past the bound spans are counted and dropped.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from shared.contracts.traceparent import TraceContext
from shared.errors import WeirError
from shared.names import actions, spans
from shared.telemetry.late_spans import LateTrace, hop_spans, late_spans
from shared.telemetry.span import Attributes, Kind, Resource, Span, messaging

log = logging.getLogger(__name__)
MAX_HELD = 20_000


class Tracing:
    """The tracer of one service process."""

    def __init__(self, service: str, instance: str) -> None:
        """`service` and `instance` are said of every span."""
        self._resource = Resource(spans.service(service), instance)
        self._ended: list[Span] = []
        self._dropped = 0

    def start(self, name: str, under: TraceContext, kind: Kind = Kind.INTERNAL,
              attributes: Attributes | None = None) -> Span | None:
        """Open a span under a context; None, at no cost, when that is not sampled."""
        if not under.sampled:
            return None
        span = Span(name, kind, under, self._resource, self.keep)
        if attributes is not None:
            span.attributes.update(attributes)
        return span

    def send(self, topic: str, under: TraceContext, attributes: Attributes | None = None) -> Span | None:
        """Open the span of a record that goes out; `sent` ends it. None when unsampled."""
        if not under.sampled:
            return None
        return self.start(spans.send(topic), under, Kind.PRODUCER, {
            **messaging("send", topic), **(attributes or {})})

    def process(self, topic: str, under: TraceContext, queue_us: int,
                attributes: Attributes | None = None) -> Span | None:
        """Open the span of a record that has come in and waited for so long. None when unsampled."""
        if not under.sampled:
            return None
        return self.start(spans.process(topic), under, Kind.CONSUMER, {
            **messaging("process", topic), spans.QUEUE_US: queue_us, **(attributes or {})})

    @contextmanager
    def span(self, name: str, under: TraceContext, kind: Kind = Kind.INTERNAL,
             attributes: Attributes | None = None) -> Iterator[Span | None]:
        """Open a span for a block of code; an exception marks it as failed and goes on."""
        opened = self.start(name, under, kind, attributes)
        try:
            yield opened
        except Exception as exc:
            # what ends a block and is no failure says so
            if not getattr(exc, "harmless", False):
                failed(opened, exc)
            raise
        finally:
            if opened is not None:
                opened.end()

    def afterwards(self, late: LateTrace, *, hops_only: bool = False) -> None:
        """Make the trace of a request that was not sampled, or its hops; times that make no sense stop nobody."""
        made: list[Span] = []
        try:
            (hop_spans if hops_only else late_spans)(late, made.append)
        except Exception:
            self._dropped += 1
            log.exception("no trace of request %s can be made afterwards", late.request_id,
                          extra={"action": actions.TRACE_FAILED, "request_id": late.request_id})
        for span in made:
            self.keep(span)

    def keep(self, span: Span) -> None:
        """Take an ended span for the next export."""
        if len(self._ended) < MAX_HELD:
            self._ended.append(span)
        else:
            self._dropped += 1

    def take(self) -> tuple[list[Span], int]:
        """All spans ended since the last call, and how many were dropped."""
        ended, self._ended = self._ended, []
        dropped, self._dropped = self._dropped, 0
        return ended, dropped


def context_of(span: Span | None, otherwise: TraceContext) -> TraceContext:
    """The trace context to hand on: the span's own, or the one that came when there is no span."""
    return otherwise if span is None else span.context


def failed(span: Span | None, error: BaseException) -> None:
    """Mark a span as failed, unless it has said more about it already."""
    if span is not None and span.error is None:
        span.fail(str(error), str(error.reason) if isinstance(error, WeirError) else type(error).__name__)


def sent(span: Span | None, acknowledged: Iterable[asyncio.Future[None]]) -> None:
    """End the span of a record when the broker has it, or will not have it."""
    if span is None:
        return
    opened = span

    def done(future: asyncio.Future[None]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            failed(opened, error)
        opened.end()

    for future in acknowledged:
        future.add_done_callback(done)
        return
    opened.end()
