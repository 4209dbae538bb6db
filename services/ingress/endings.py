"""What is counted and told when a request ends.

In:    a visit, the error that ends it or the status of its answer.
Out:   the answer to an error; usage, metrics, the trace, a line of the access log.
Never: a second count of a request that ended further in.
"""

from msgspec import Struct

from services.ingress import answer
from services.ingress.edge_usage import EdgeUsage
from services.ingress.routes import EdgeRoutes
from services.ingress.traces import EdgeTraces
from services.ingress.visit import Visit
from shared.client.caller import NotAcknowledged
from shared.clock import Clock
from shared.contracts.usage import Kind
from shared.errors import Refused, TimedOut, WeirError
from shared.telemetry.access import AccessLog, Ending
from shared.telemetry.metrics import Metrics


class Endings(Struct, frozen=True, kw_only=True):
    """Of one ingress process."""

    clock: Clock
    routes: EdgeRoutes
    usage: EdgeUsage
    metrics: Metrics
    access: AccessLog
    traces: EdgeTraces

    def refused(self, visit: Visit, error: WeirError, address: str) -> answer.Answer:
        """The edge itself ends it. `address`: whence it came."""
        self.count(visit, error, address)
        return answer.of_error(error, visit.request_id)

    def count(self, visit: Visit, error: WeirError, address: str) -> None:
        """The edge itself has ended it."""
        unclear = isinstance(error, (NotAcknowledged, TimedOut)) or not isinstance(error, Refused)
        kind: Kind = "delivery" if visit.published_us and unclear else "request"
        # a name that nobody has must not become one in the counters
        served = self.routes.served(visit.project)
        kept = served is None or served.keeps_addresses
        self.usage.ended(kind, visit, error, project="" if served is None else visit.project,
                         address=address if kept else "")
        reason = str(error.reason)
        self.metrics.requests.inc(*visit.labels, reason)
        visit.error = (reason, str(error))

    def unread(self, error: Refused) -> None:
        """What came could not be read, so it leads nowhere."""
        self.metrics.requests.inc("", "", str(error.reason))
        self.metrics.answers.inc("", "", str(error.status))

    def finish(self, visit: Visit, status: int) -> None:
        """The caller has its answer, or is about to."""
        now_us, (project, operation) = self.clock.elapsed_us(), visit.labels
        took_us, trace = now_us - visit.started_us, visit.trace
        has_trace = self.traces.finish(visit, status, now_us)
        self.metrics.answers.inc(project, operation, str(status))
        self.metrics.request_us.add(took_us, project, operation, trace_id=trace.trace_id if has_trace else None)
        if self.access.wants(status, now_us):
            self.access.note(Ending(
                request_id=visit.request_id, trace_id=trace.trace_id, project=project, operation=operation,
                method=visit.method, source="edge", status=status, took_us=took_us, reason=visit.error[0]))
