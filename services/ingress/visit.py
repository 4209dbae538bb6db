"""One HTTP request under way.

In:    what the door learns of it, step by step.
Out:   `Visit`.
Never: a rule.
"""

from msgspec import Struct

from services.ingress.routes import Target
from shared.contracts.config import Token
from shared.contracts.reply import ReplyRecord
from shared.contracts.traceparent import TraceContext
from shared.telemetry.span import Span


class Visit(Struct):
    """`project` and `below`: what `path` says. `trace`: what goes on; `came`: what the caller sent. Times of the
    monotonic clock, 0: not yet.

    `span` and `sending`: of a sampled request, the request itself and its record. `error`: reason and detail of an
    answer that is the edge's own. `told_status`: what the last of the `parts` of a stream said, for its own is
    200 by then. `caller`: whose token it carries, of a request that the edge ends.
    """

    request_id: str
    method: str
    path: str
    project: str
    below: str
    came: TraceContext | None
    trace: TraceContext
    started_us: int
    target: Target | None = None
    span: Span | None = None
    sending: Span | None = None
    receiving: Span | None = None
    published_us: int = 0
    reply: ReplyRecord | None = None
    error: tuple[str, str] = ("", "")
    bytes_in: int = 0
    parts: int = 0
    told_status: int = 0
    caller: Token | None = None

    @property
    def labels(self) -> tuple[str, str]:
        """Project and operation, both empty when the address leads nowhere."""
        return ("", "") if self.target is None else (self.target.project, self.target.operation.name)
