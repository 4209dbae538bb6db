"""Counting, linked to the traces of the requests that are counted.

In:    what has just been counted.
Out:   one span for all sampled requests in it, with a link to each of them.
Never: a span where none of them was sampled.
"""

import time

from services.analytics.fold import Folded
from shared.contracts.traceparent import TraceContext
from shared.names import spans, topics
from shared.telemetry.tracing import Tracing

GROUP = "weir-analytics"
_MOST_LINKS = 128


class UsageTraces:
    """Of one analytics process; hears of events once they are counted."""

    def __init__(self, tracing: Tracing) -> None:
        """Nothing counted."""
        self._tracing = tracing

    def __call__(self, folded: Folded) -> None:
        """The spans are those that wrote the events."""
        sampled = [event for event in folded.requests if event.span_id is not None and event.trace_id is not None]
        for first in range(0, len(sampled), _MOST_LINKS):
            some = sampled[first:first + _MOST_LINKS]
            waited_us = max(0, time.time_ns() // 1000 - min(event.time for event in some) * 1000)
            span = self._tracing.process(topics.USAGE, TraceContext.new(sampled=True), waited_us, {
                spans.MESSAGING_GROUP: GROUP, spans.EVENTS_COUNTED: len(some)})
            if span is not None:
                span.links = [TraceContext(str(event.trace_id), str(event.span_id), sampled=True) for event in some]
                span.end()
