"""Publish ended spans.

In:    what `telemetry/tracing.py` holds.
Out:   OTLP protobuf on `otlp_spans`.
Never: a delay for a request: a batch that cannot be sent is counted and dropped.
"""

import asyncio

from shared.kafka.faults import SendFailed
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.runtime.tasks import Tasks
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import Tracing

_EVERY_S = 0.2


class SpanExport:
    """Empties the tracer a few times a second."""

    def __init__(self, tracing: Tracing, outbox: Outbox, tasks: Tasks, metrics: Metrics) -> None:
        """Exports once started."""
        self._tracing, self._outbox, self._tasks, self._metrics = tracing, outbox, tasks, metrics

    async def start(self) -> None:
        """Begin to export."""
        self._tasks.spawn(self._run(), "export spans")

    async def stop(self) -> None:
        """Export what is left."""
        self._export()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            self._export()

    def _export(self) -> None:
        payload, dropped = self._tracing.take()
        if payload is not None:
            try:
                self._outbox.send(topics.SPANS, payload, [])
            except SendFailed:
                dropped += 1
        if dropped:
            self._metrics.spans_dropped.inc(by=dropped)
