"""Usage events of what only the edge knows.

In:    a request that ended at the edge, or whose end only the edge has seen; what the edge knows of it.
Out:   events in envelopes.
Never: a second `request` event: what was published is counted by whoever ends it further in.
"""

from msgspec import Struct

from services.ingress.routes import Target
from shared.clock import Clock
from shared.contracts.config import Token
from shared.contracts.paths import path_class
from shared.contracts.traceparent import TraceContext
from shared.contracts.usage import Kind, UsageEvent
from shared.errors import MethodNotAllowed, OperationNotFound, WeirError
from shared.kafka.envelopes import UsageEnvelopes


class Ended(Struct, frozen=True, kw_only=True):
    """A request as the edge saw it. `path`: below `project`, which is empty when there is none of its name."""

    request_id: str
    target: Target | None
    project: str
    path: str
    address: str
    caller: Token | None
    trace: TraceContext
    bytes_in: int


class EdgeUsage:
    """Counts requests that never got past the edge, and deliveries that went wrong."""

    def __init__(self, envelopes: UsageEnvelopes, clock: Clock, *, keep_addresses: bool) -> None:
        """The envelopes are started elsewhere. `keep_addresses`: whether events say where a call came from."""
        self._envelopes, self._clock, self._keep_addresses = envelopes, clock, keep_addresses

    def ended(self, kind: Kind, what: Ended, error: WeirError) -> None:
        """`request`: nothing was published. `delivery`: it was, and the caller got `error` all the same."""
        astray = isinstance(error, OperationNotFound | MethodNotAllowed)
        caller = what.caller
        self._envelopes.add(UsageEvent(
            kind=kind, id=what.request_id, time=self._clock.now_ms(), project=what.project,
            operation=what.target.operation.name if what.target else "", client=caller.client if caller else "",
            source="edge", status=error.status, reason=str(error.reason), bytes_in=what.bytes_in,
            trace_id=what.trace.trace_id, address=(what.address or None) if self._keep_addresses else None,
            token=caller.id if caller else None, path=path_class(what.path) if astray else None))
