"""The traces of calls that policy hears: sampled ones as they happen, others afterwards where nobody else would.

In:    records, hearings.
Out:   spans.
Never: a span for an unsampled call that went well. What came over the edge and is answered there is the edge's to tell.
"""

import time

from services.policy.hearing import Hearing
from shared.clock import Clock
from shared.contracts.reply import ReplyRecord
from shared.contracts.request import RequestRecord
from shared.contracts.traceparent import TraceContext
from shared.decision.book import PolicyBook
from shared.decision.case import Case
from shared.kafka.record import Record
from shared.names import spans, topics
from shared.names.reasons import Reason
from shared.telemetry.late_spans import LateTrace
from shared.telemetry.sampling import Sampler
from shared.telemetry.span import Span
from shared.telemetry.tracing import Tracing

GROUP = "weir-policy"


class Laps:
    """Times the checks of one decision, into its span."""

    def __init__(self, span: Span, clock: Clock) -> None:
        """From now on."""
        self._span, self._clock, self._last_us = span, clock, clock.elapsed_us()

    def __call__(self, name: str) -> None:
        """A check has been made, or what it waits for has come."""
        now_us = self._clock.elapsed_us()
        self._span.attributes[spans.check_us(name)] = now_us - self._last_us
        self._last_us = now_us


class PolicyTraces:
    """Of one policy process."""

    def __init__(self, tracing: Tracing, sampler: Sampler, clock: Clock, slow_ms: int) -> None:
        """`slow_ms`: where neither an operation nor its project says anything."""
        self._tracing, self._sampler, self._clock, self._slow_us = tracing, sampler, clock, slow_ms * 1000

    def context(self, request: RequestRecord, book: PolicyBook, *, edge: bool) -> TraceContext:
        """The trace that a call belongs to. One over the internal topic may begin here: then here is its head."""
        came = TraceContext.parse(request.traceparent)
        if came is not None:
            # unsampled: under the id that its first span gets here, should it be made afterwards
            return came if edge or came.sampled else came.renewed()
        project = book.project(request.project)
        guarded = project.operations.get(request.operation or "") if project is not None else None
        return self._sampler.head(TraceContext.new(sampled=False),
                                  guarded.tracing.ratio if guarded is not None else None)

    def begin(self, record: Record, case: Case, trace: TraceContext, queue_us: int) -> tuple[Span, Span] | None:
        """The spans of a sampled call and of its decision."""
        span = self._tracing.process(record.topic, trace, queue_us, {
            spans.MESSAGING_PARTITION: str(record.partition), spans.MESSAGING_OFFSET: record.offset,
            spans.MESSAGING_GROUP: GROUP, spans.MESSAGING_BODY_SIZE: len(record.value or b"")})
        if span is None:
            return None
        deciding = self._tracing.start(spans.POLICY_DECIDE, span.context)
        assert deciding is not None
        case.lap = Laps(deciding, self._clock)
        return span, deciding

    def sending(self, hearing: Hearing, topic: str, size: int) -> Span | None:
        """The span of a record that follows from a call."""
        if not hearing.trace.sampled:
            return None
        return self._tracing.send(topic, hearing.trace, {spans.MESSAGING_BODY_SIZE: size})

    def afterwards(self, hearing: Hearing, reply: ReplyRecord, reason: Reason, detail: str) -> None:
        """A call that ended here, unsampled, with nobody further out who would tell of it."""
        case, timing, reply_to = hearing.case, hearing.timing, hearing.case.request.reply_to
        took_us = timing["policy-queue"] + timing["policy"]
        rule = case.guarded.tracing if case.guarded is not None else None
        if hearing.trace.sampled or (hearing.source == "edge" and reply_to is not None):
            return
        if reply.status < 500 and (rule is None or not rule.is_slow(took_us, self._slow_us)):
            return
        ended_us = time.time_ns() // 1000
        self._tracing.afterwards(LateTrace(
            trace=hearing.trace, began_us=ended_us - took_us, ended_us=ended_us, source=hearing.source,
            request_id=hearing.request_id, project=case.request.project, operation=case.operation, client=case.client,
            status=reply.status, reason=str(reason), detail=detail, timing=timing, answered=reply_to is not None,
            reply_topic=reply_to.topic if reply_to is not None else topics.REPLIES))
