"""The traces of requests at the edge: sampled ones as they happen, others afterwards if they failed or were slow.

In:    visits.
Out:   spans.
Never: a span for an unsampled request that went well; a trace for each of very many that were refused at once.
"""

import asyncio
import time

import orjson

from services.ingress.routes import Target
from services.ingress.visit import Visit
from shared.clock import Clock
from shared.contracts.reply import ReplyRecord
from shared.contracts.traceparent import TraceContext
from shared.names import spans, topics
from shared.names.headers import PROBLEM_JSON
from shared.telemetry.late_spans import LateTrace
from shared.telemetry.sampling import Sampler
from shared.telemetry.span import Kind, Span, Value
from shared.telemetry.tracing import Tracing, sent

# when everything is refused the metrics say so, and a trace of each would cost more than the refusal
_MOST_REFUSED_A_SECOND = 20


class Watching:
    """What the caller tells of one request."""

    __slots__ = ("_traces", "_visit")

    def __init__(self, traces: "EdgeTraces", visit: Visit) -> None:
        """One request."""
        self._traces, self._visit = traces, visit

    def published(self, acknowledged: asyncio.Future[None]) -> None:
        """Its record is on its way."""
        if self._visit.sending is not None:
            sent(self._visit.sending, [acknowledged])

    def came_late(self, reply: ReplyRecord) -> None:
        """Its answer came when nobody waited any more."""
        self._traces.came_late(self._visit, reply)


class EdgeTraces:
    """Of one ingress process."""

    def __init__(self, tracing: Tracing, sampler: Sampler, clock: Clock, slow_ms: int) -> None:
        """`slow_ms`: where neither an operation nor its project says anything."""
        self._tracing, self._sampler, self._clock, self._slow_us = tracing, sampler, clock, slow_ms * 1000
        self._second = self._refused = 0

    def begin(self, visit: Visit, target: Target, *, forced: bool) -> None:
        """The operation is known: decide, and open the span. `forced`: the caller asks for it, and may."""
        trace = self._sampler.head(visit.trace, target.tracing.ratio, forced=forced)
        if not trace.sampled:
            # under the span id that the request's span gets, should it be made afterwards
            visit.trace = trace if trace.root else trace.renewed()
            return
        name, attributes = _server(target, visit)
        visit.span = span = self._tracing.start(name, trace, Kind.SERVER, {
            **attributes, spans.REQUEST_ID: visit.request_id, spans.PROJECT: target.project,
            spans.OPERATION: target.operation.name, spans.SOURCE: "edge"})
        if span is not None:
            span.start_ns -= (self._clock.elapsed_us() - visit.started_us) * 1000
            visit.trace = span.context

    def publishing(self, visit: Visit, size: int) -> TraceContext:
        """The record goes out; the context that it carries."""
        visit.published_us = self._clock.elapsed_us()
        if not visit.trace.sampled:
            return visit.trace
        visit.sending = sending = self._tracing.send(topics.REQUESTS_EDGE, visit.trace,
                                                     {spans.MESSAGING_BODY_SIZE: size})
        return visit.trace if sending is None else sending.context

    def answered(self, visit: Visit, reply: ReplyRecord) -> None:
        """The answer is here."""
        visit.reply = reply
        if visit.span is None:
            return
        under = TraceContext.parse(reply.traceparent) or visit.trace
        visit.receiving = self._tracing.process(
            topics.REPLIES, under, max(0, self._clock.now_ms() - reply.placed_ms) * 1000,
            {spans.REQUEST_ID: visit.request_id})

    def finish(self, visit: Visit, status: int, now_us: int) -> bool:
        """The caller has its answer, or is about to. Whether there is a trace of it."""
        ended = max(status, visit.told_status)
        if visit.span is not None:
            self._close(visit, visit.span, status)
            return True
        if visit.target is None or not (ended >= 500 or visit.target.tracing.is_slow(
                now_us - visit.started_us, self._slow_us)):
            return False
        if not visit.published_us and not self._room(now_us):
            return False
        self._tracing.afterwards(self._late(visit, visit.target, ended))
        return True

    def came_late(self, visit: Visit, reply: ReplyRecord) -> None:
        """An answer that nobody waits for any more: where the request was all the time."""
        if visit.span is None and visit.target is not None:
            self._tracing.afterwards(self._late(visit, visit.target, reply.status, reply), hops_only=True)

    def _room(self, now_us: int) -> bool:
        """Whether one more that was refused before anything was published gets a trace."""
        second = now_us // 1_000_000
        if second != self._second:
            self._second, self._refused = second, 0
        self._refused += 1
        return self._refused <= _MOST_REFUSED_A_SECOND

    def _close(self, visit: Visit, span: Span, status: int) -> None:
        ended = max(status, visit.told_status)
        span.note({spans.HTTP_STATUS: status, spans.STATUS: ended})
        reason, detail = visit.error
        if reason or (reason := _told(visit.reply)[0]):
            span.note({spans.REASON: reason})
        if visit.parts:
            span.note({spans.PARTS: visit.parts})
        if ended >= 500:
            span.fail(detail or reason, str(ended))
        if visit.published_us and visit.reply is None:
            span.event(spans.NO_REPLY, {})
        if visit.receiving is not None:
            visit.receiving.end()
        span.end()

    def _late(self, visit: Visit, target: Target, status: int,
              reply: ReplyRecord | None = None) -> LateTrace:
        ended_us, elapsed_us = time.time_ns() // 1000, self._clock.elapsed_us()
        found = reply or visit.reply
        told = _told(found)
        reason, detail = visit.error if visit.error[0] and reply is None else told[:2]
        name, attributes = _server(target, visit)
        came = visit.came
        return LateTrace(
            trace=visit.trace, parent_id=came.span_id if came is not None and came.sampled else "",
            began_us=ended_us - (elapsed_us - visit.started_us), ended_us=ended_us,
            published_us=ended_us - (elapsed_us - visit.published_us) if visit.published_us else 0,
            answered=found is not None, server=(name, {**attributes, spans.HTTP_STATUS: status}),
            request_id=visit.request_id, project=target.project, operation=target.operation.name,
            client=found.client if found is not None else visit.caller.client if visit.caller is not None else "",
            workflow=target.operation.workflow, status=status,
            reason=reason or "ok", detail=detail, timing={} if found is None else found.timing, failed_step=told[2])


def _server(target: Target, visit: Visit) -> tuple[str, dict[str, Value]]:
    route = f"/{target.project}{target.operation.path}"
    return spans.server(target.operation.method, route), {
        spans.HTTP_METHOD: visit.method, spans.HTTP_ROUTE: route, spans.URL_PATH: visit.path,
        spans.URL_SCHEME: "http"}


def _told(reply: ReplyRecord | None) -> tuple[str, str, str]:
    """Reason, detail and failed step of an answer that is a problem."""
    if reply is None or reply.content_type != PROBLEM_JSON:
        return "", "", ""
    try:
        problem = orjson.loads(reply.body)
        return str(problem.get("code", "")), str(problem.get("detail", "")), str(problem.get("step", ""))
    except (orjson.JSONDecodeError, AttributeError):
        return "", "", ""
