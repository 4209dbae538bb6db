"""Publish ended spans.

In:    what `telemetry/tracing.py` holds.
Out:   OTLP protobuf on `otlp_spans`, and to whoever else wants it.
Never: a delay for a request: spans that cannot be sent are counted and dropped, and a few at a time are written.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from shared.kafka.faults import OutboxFull, RecordTooLarge, SendFailed
from shared.kafka.outbox import Outbox
from shared.names import actions, topics
from shared.runtime.span_sender import SpanSender
from shared.runtime.tasks import Tasks
from shared.settings.telemetry import TraceSettings, header_pairs
from shared.telemetry.metrics import Metrics
from shared.telemetry.otlp import export_request
from shared.telemetry.span import Span
from shared.telemetry.tracing import Tracing

log = logging.getLogger(__name__)
_EVERY_S = 0.2
# takes about a millisecond, and is far below the largest record unless spans are very large
_AT_ONCE = 100
# that the broker has not acknowledged; more would take the room of what must not be lost while it is away
_MAX_BYTES = 16_000_000
Also = Callable[[bytes, int], None]


class SpanExport:
    """Empties the tracer a few times a second."""

    def __init__(self, tracing: Tracing, outbox: Outbox, tasks: Tasks, metrics: Metrics,
                 also: Also | None = None) -> None:
        """`also`: another place where exports go, with the number of their spans."""
        self._tracing, self._outbox, self._tasks, self._metrics = tracing, outbox, tasks, metrics
        self._also = also
        self._size = 0

    async def start(self) -> None:
        """Begin to export."""
        self._tasks.spawn(self._run(), "export spans")

    async def stop(self) -> None:
        """Export what is left."""
        await self._export()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self._export()

    async def _export(self) -> None:
        spans, dropped = self._tracing.take()
        if dropped:
            self._metrics.spans_dropped.inc(by=dropped)
        for first in range(0, len(spans), _AT_ONCE):
            self._send(spans[first:first + _AT_ONCE])
            # whoever has a request to answer goes first
            await asyncio.sleep(0)

    def _send(self, spans: Sequence[Span]) -> None:
        try:
            payload = export_request(spans)
        except (OverflowError, ValueError) as exc:
            # a time or an id that cannot be written down; the others can
            if len(spans) > 1:
                self._halves(spans)
                return
            log.warning("span %s cannot be exported: %r", spans[0].name, exc,
                        extra={"action": actions.TRACE_FAILED})
            self._metrics.spans_dropped.inc()
            return
        try:
            self._publish(payload, len(spans))
        except RecordTooLarge:
            if len(spans) > 1:
                self._halves(spans)
                return
            self._metrics.spans_dropped.inc()
        except SendFailed:
            self._metrics.spans_dropped.inc(by=len(spans))
        # the other place takes them even while the broker is away
        if self._also is not None:
            self._also(payload, len(spans))

    def _halves(self, spans: Sequence[Span]) -> None:
        half = len(spans) // 2
        self._send(spans[:half])
        self._send(spans[half:])

    def _publish(self, payload: bytes, count: int) -> None:
        """Raises SendFailed, RecordTooLarge."""
        if self._size + len(payload) > _MAX_BYTES:
            raise OutboxFull(f"{self._size} bytes of spans wait for the broker")
        sent = self._outbox.send(topics.SPANS, payload, [])
        self._size += len(payload)
        sent.add_done_callback(lambda done: self._sent(done, count, len(payload)))

    def _sent(self, done: asyncio.Future[None], count: int, size: int) -> None:
        self._size -= size
        if not done.cancelled() and done.exception() is not None:
            self._metrics.spans_dropped.inc(by=count)


def exporters(tracing: Tracing, outbox: Outbox, tasks: Tasks, metrics: Metrics,
              settings: TraceSettings) -> tuple[SpanSender | SpanExport, ...]:
    """The parts that spans need, in starting order."""
    if settings.otlp_endpoint is None:
        return (SpanExport(tracing, outbox, tasks, metrics),)
    sender = SpanSender(settings.otlp_endpoint, header_pairs(settings.otlp_headers), tasks, metrics)
    return sender, SpanExport(tracing, outbox, tasks, metrics, sender)
