"""The counters of one process.

In:    names.
Out:   `Metrics`, and the Prometheus text of it.
Never: a label with unbounded values (request ids, paths, addresses).
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from shared.names import metrics as M

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """One registry per process, built in the composition root and handed to whoever counts."""

    def __init__(self) -> None:
        """All counters at zero."""
        self.registry = CollectorRegistry()
        self.requests = Counter(M.REQUESTS, "Requests that ended in this service",
                                ["project", "operation", "reason"], registry=self.registry)
        self.seconds = Histogram(M.REQUEST_SECONDS, "Time at the edge, from request to answer", ["project"],
                                 buckets=_SECONDS, registry=self.registry)
        self.in_flight = Gauge(M.IN_FLIGHT, "Requests that wait for their answer", registry=self.registry)
        self.replies_dropped = Counter(M.REPLIES_DROPPED, "Replies that nobody waits for", ["why"],
                                       registry=self.registry)
        self.consumed = Counter(M.RECORDS_CONSUMED, "Records read", ["topic"], registry=self.registry)
        self.open = Gauge(M.RECORDS_OPEN, "Records read and not finished", registry=self.registry)
        self.dead = Counter(M.DEAD_LETTERS, "Records moved to the dead letters", ["topic"], registry=self.registry)
        self.expired = Counter(M.EXPIRED, "Requests dropped because their deadline had passed",
                               registry=self.registry)
        self.observed = Counter(M.OBSERVED, "What policies that only report would have done", ["project", "outcome"],
                                registry=self.registry)
        self.limits_local = Counter(M.LIMITS_LOCAL, "Calls whose limits were kept by one instance alone: no store",
                                    registry=self.registry)
        self.tasks = Counter(M.TASKS, "Tasks run", ["project"], registry=self.registry)
        self.usage_events = Counter(M.USAGE_EVENTS, "Usage events", ["kind"], registry=self.registry)
        self.usage_counted = Counter(M.USAGE_COUNTED, "Usage events that analytics read", ["as"],
                                     registry=self.registry)
        self.envelopes_repeated = Counter(M.ENVELOPES_REPEATED, "Usage envelopes that came again, and were not counted",
                                          registry=self.registry)
        self.config_offset = Gauge(M.CONFIG_OFFSET, "Next offset of the config topic", registry=self.registry)
        self.spans_dropped = Counter(M.SPANS_DROPPED, "Spans that could not be exported", registry=self.registry)

    def text(self) -> bytes:
        """All metrics in Prometheus text format."""
        return generate_latest(self.registry)
