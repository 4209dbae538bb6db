"""Usage events of what only the edge knows.

In:    a request that ended at the edge, or whose end only the edge has seen.
Out:   events in envelopes.
Never: a second `request` event: what was published is counted by whoever ends it further in.
"""

from services.ingress.routes import Target
from shared.clock import Clock
from shared.contracts.traceparent import TraceContext
from shared.contracts.usage import Kind, UsageEvent
from shared.errors import WeirError
from shared.kafka.envelopes import UsageEnvelopes


class EdgeUsage:
    """Counts requests that never got past the edge, and deliveries that went wrong."""

    def __init__(self, envelopes: UsageEnvelopes, clock: Clock) -> None:
        """The envelopes are started elsewhere."""
        self._envelopes, self._clock = envelopes, clock

    def ended(self, kind: Kind, target: Target | None, request_id: str, error: WeirError,
              trace: TraceContext, bytes_in: int) -> None:
        """`request`: nothing was published. `delivery`: it was, and the caller got `error` all the same."""
        self._envelopes.add(UsageEvent(
            kind=kind, id=request_id, time=self._clock.now_ms(), project=target.project if target else "",
            operation=target.operation.name if target else "", client="", source="edge", status=error.status,
            reason=str(error.reason), bytes_in=bytes_in, trace_id=trace.trace_id))
