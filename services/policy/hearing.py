"""A case with what surrounds it: its record, its ids, its times, its spans.

In:    a record and its case.
Out:   `Hearing`.
Never: a rule.
"""

import re
from typing import Any

from msgspec import Struct

from shared.contracts import codec, ids
from shared.contracts.origin import Origin
from shared.contracts.token import mark
from shared.contracts.traceparent import TraceContext
from shared.decision.amounts import Outcome
from shared.decision.case import Case
from shared.decision.decide import Decision
from shared.errors import WeirError
from shared.kafka.record import Record
from shared.names import headers as H
from shared.names import spans
from shared.names.metrics import QUEUE, WORK
from shared.names.reasons import Reason
from shared.project.access.budgets import Demand, Kind
from shared.telemetry.metrics import Metrics
from shared.telemetry.span import Span
from shared.telemetry.tracing import failed

HOP = "policy"
# less than one of so many parts of a limit is left
NEARLY = 10
_NUMBER = re.compile(rb"[0-9]{1,18}")


class Hearing(Struct, frozen=True, kw_only=True):
    """One call under way; `timing` grows. `deciding`: span of the decision, inside `span`; none when unsampled.

    `source`: which door the call came through.
    """

    case: Case
    record: Record
    source: str
    request_id: str
    trace: TraceContext
    started_us: int
    timing: dict[str, int]
    span: Span | None
    deciding: Span | None

    @property
    def origin(self) -> Origin:
        """The place of its record."""
        return Origin(self.record.topic, self.record.partition, self.record.offset)

    @property
    def address(self) -> str:
        """Where the call comes from; empty when it did not come over the edge."""
        http = self.case.request.http
        return "" if http is None else http.client_ip

    @property
    def answer_by_ms(self) -> int:
        """Until when the caller waits, where its answer is kept only if it comes after that; else 0."""
        how, guarded = self.case.answering, self.case.guarded
        if how.at_once or not how.kept or (guarded is not None and guarded.durable):
            return 0
        # it waits since its record was written
        came_ms = self.case.now_ms - self.timing["policy-queue"] // 1000
        return min(self.case.until_ms, came_ms + how.wait_ms)

    def proof(self, reason: Reason) -> str | None:
        """What tells a refused proof from another one."""
        if reason not in (Reason.CREDENTIALS_INVALID, Reason.CREDENTIALS_EXPIRED):
            return None
        digest, sealed = self.case.request.token_digest, self.case.sealed
        return mark(digest or "".join(sealed.values())) if digest or sealed else None

    @property
    def holder(self) -> str:
        """Who has an idempotency key and places: this request, and it alone when its record is delivered again.

        A publisher chooses ids, and may publish a record twice: the second is another one, though it has the same id.
        A dead letter that is sent again is the same one each time.
        """
        if self.source == "edge" or self.case.request.request_id is None:
            return self.request_id
        letter = codec.header_map(self.record.headers).get(H.REPLAY_OF, b"")
        return ids.holder(self.request_id, f"letter/{int(letter)}" if _NUMBER.fullmatch(letter) else self.origin)

    def claim(self) -> dict[str, Any]:
        """Where the executor keeps the answer; empty without an idempotency key."""
        claim = self.case.claim
        return {} if claim is None else {"key": claim.key, "digest": claim.digest, "keep_ms": claim.keep_ms}

    def measure(self, metrics: Metrics) -> None:
        """How long it waited and was worked on; which limits are nearly spent; what was only observed."""
        trace_id = self.trace.trace_id if self.trace.sampled else None
        case, timing = self.case, self.timing
        metrics.hop_us.add(timing["policy-queue"], HOP, QUEUE, trace_id=trace_id)
        metrics.hop_us.add(timing["policy"], HOP, WORK, trace_id=trace_id)
        for demand, outcome in zip(case.demands, case.outcomes, strict=False):
            if _nearly_spent(demand, outcome):
                metrics.limits_near.inc(case.request.project, demand.name)
        for outcome_of_policy in case.observed:
            metrics.observed.inc(case.request.project, outcome_of_policy)

    def describe(self, ruling: Decision) -> None:
        """Say in the spans how it was decided."""
        if self.deciding is not None:
            self.deciding.note({spans.REASON: str(ruling.reason), spans.OBSERVED: ",".join(self.case.observed)})
            accepted = ",".join(compiled.policy.name for compiled in self.case.accepted)
            if policy := ruling.by or accepted:
                self.deciding.note({spans.POLICY: policy})
            self.deciding.end()
        if self.span is not None:
            self.span.note({
                spans.REQUEST_ID: self.request_id, spans.PROJECT: self.case.request.project, spans.SOURCE: self.source,
                spans.OPERATION: self.case.operation, spans.CLIENT: self.case.client,
                spans.REASON: str(ruling.reason)})

    def over(self, error: WeirError | None = None, status: int = 0) -> None:
        """Nothing more follows from it here; `status`: of its answer, if it was answered here."""
        if self.span is not None:
            if status:
                self.span.note({spans.STATUS: status})
            if error is not None and error.status >= 500:
                failed(self.span, error)
            self.span.end()


def _nearly_spent(demand: Demand, outcome: Outcome) -> bool:
    if demand.kind is Kind.ONCE:
        return False
    # of a smooth limit nothing is ever left: it is spent for whoever has to wait
    return outcome.wait_ms > 0 if demand.smooth else outcome.left * NEARLY < demand.most
