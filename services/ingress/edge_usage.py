"""Usage events of what only the edge knows.

In:    a request that ended at the edge, or whose end only the edge has seen; what the edge knows of it.
Out:   events in envelopes.
Never: a second `request` event: what was published is counted by whoever ends it further in.
"""

from services.ingress.visit import Visit
from shared.clock import Clock
from shared.contracts.paths import path_class
from shared.contracts.usage import Kind, UsageEvent
from shared.errors import MethodNotAllowed, OperationNotFound, WeirError
from shared.kafka.envelopes import UsageEnvelopes


class EdgeUsage:
    """Counts requests that never got past the edge, and deliveries that went wrong."""

    def __init__(self, envelopes: UsageEnvelopes, clock: Clock, *, keep_addresses: bool) -> None:
        """The envelopes are started elsewhere. `keep_addresses`: whether events say where a call came from."""
        self._envelopes, self._clock, self._keep_addresses = envelopes, clock, keep_addresses

    def ended(self, kind: Kind, visit: Visit, error: WeirError, *, project: str, address: str) -> None:
        """`request`: nothing was published. `delivery`: it was, and the caller got `error` all the same. `project` is
        empty when there is none of that name."""
        astray = isinstance(error, OperationNotFound | MethodNotAllowed)
        target, caller = visit.target, visit.caller
        self._envelopes.add(UsageEvent(
            kind=kind, id=visit.request_id, time=self._clock.now_ms(), project=project,
            operation="" if target is None else target.operation.name, client="" if caller is None else caller.client,
            source="edge", status=error.status, reason=str(error.reason), bytes_in=visit.bytes_in,
            trace_id=visit.trace.trace_id, address=(address or None) if self._keep_addresses else None,
            token=None if caller is None else caller.id,
            path=path_class(visit.below if project else visit.path) if astray else None))
