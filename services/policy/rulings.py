"""What follows from a ruling: the execution, the answer, the usage event.

In:    a hearing and how it was decided.
Out:   records, and what has to be acknowledged before the request's record is done.
Never: a decision.
"""

import asyncio
import logging

import msgspec

from services.policy.hearing import Hearing
from services.policy.parts import PolicyParts
from shared.contracts.execution import ExecutionRecord
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.reply import ReplyRecord, error_reply
from shared.contracts.traceparent import TraceContext
from shared.contracts.usage import UsageEvent
from shared.decision.case import Case
from shared.decision.decide import Decision
from shared.errors import BadRecord, BodyTooLarge, ReplyInvalid, WeirError
from shared.kafka.dead_letters import told_by
from shared.kafka.faults import RecordTooLarge
from shared.kafka.record import Record
from shared.names import actions, topics
from shared.names.headers import HTTP_REPLAYED
from shared.names.reasons import Reason
from shared.project.canary import CANARY
from shared.project.modes import RESULTS, Answering
from shared.telemetry.access import Ending
from shared.telemetry.tracing import context_of, sent

log = logging.getLogger(__name__)
Effects = list[asyncio.Future[None]]


class Rulings:
    """Carries rulings out."""

    def __init__(self, parts: PolicyParts) -> None:
        """Ready when they are."""
        self._parts = parts

    def close(self, hearing: Hearing, ruling: Decision | KeptAnswer) -> Effects:
        """End the hearing; what has to be acknowledged before its record is done."""
        parts, case = self._parts, hearing.case
        hearing.timing["policy"] = parts.clock.elapsed_us() - hearing.started_us
        hearing.measure(parts.metrics)
        if isinstance(ruling, KeptAnswer):
            hearing.describe(Decision(None, case.version))
            return self._again(hearing, ruling)
        hearing.describe(ruling)
        if case.token:
            parts.last_used.note(case.token, case.now_ms)
        if ruling.refusal is not None:
            return self._refuse(hearing, ruling.refusal)
        if case.guarded is not None and case.guarded.operation is RESULTS:
            return [parts.tasks.spawn(self._tell(hearing), "result")]
        how = case.answering
        if how.at_once:
            return [parts.tasks.spawn(self._accept(hearing, how), "accept")]
        return self._admit(hearing)

    async def _accept(self, hearing: Hearing, how: Answering) -> None:
        """Answered before it runs; the executor counts it when it has run."""
        parts, case = self._parts, hearing.case
        try:
            self._runs(hearing)
            self._fits(hearing)
            reply = await parts.results.accept(case, hearing.request_id, how)
        except WeirError as error:
            await asyncio.gather(*self._refuse(hearing, error))
            return
        effects = self._admit(hearing, answered=True)
        if case.claim is not None:
            # whoever finds the answer kept runs nothing: by then the execution has to stand in its topic
            await asyncio.gather(*effects)
            await parts.claims.keep(case.claim, reply)
        # what is left of the limits is not kept with it: it is another time when it is told again
        effects.extend(self._reply(hearing, _with_headers(reply, case)))
        hearing.over(status=reply.status)
        await asyncio.gather(*effects)

    def _runs(self, hearing: Hearing) -> None:
        """Whether nobody has stopped its workflow: executors say so only to those who wait. Raises WorkflowStopped."""
        guarded, project = hearing.case.guarded, hearing.case.project
        assert guarded is not None
        assert project is not None
        halt = self._parts.book.halt(project.name, guarded.operation.workflow)
        if halt is not None:
            raise halt.refusal

    def _fits(self, hearing: Hearing) -> None:
        """Whether a record can hold it: who is told that it runs is told nothing else. Raises BodyTooLarge."""
        body = hearing.case.request.body
        try:
            self._parts.outbox.check(body, self._execution(hearing, hearing.trace, answered=True).to_headers())
        except RecordTooLarge as exc:
            raise _too_large(exc) from exc

    async def _tell(self, hearing: Hearing) -> None:
        """What became of an execution; no workflow runs for it."""
        try:
            told = _with_headers(await self._parts.results.tell(hearing.case, hearing.request_id), hearing.case)
            self._can_be_told(hearing, told)
            await self._give_back(hearing)
            effects = self._answered(hearing, told, Reason.OK)
        except WeirError as error:
            effects = self._refuse(hearing, error)
        except Exception as exc:
            # as one that cannot be decided: what a newer version has kept, say, must not end this one again and again
            await self._give_back(hearing)
            effects = undecided(self._parts, hearing.record, exc)
        await asyncio.gather(*effects)

    def _can_be_told(self, hearing: Hearing, told: ReplyRecord) -> None:
        """A text that a record could hold as it was may be several times as long in JSON. Raises ReplyInvalid."""
        address = hearing.case.request.reply_to
        if address is None:
            return
        headers = msgspec.structs.replace(told, traceparent=str(hearing.trace)).to_headers()
        try:
            self._parts.outbox.check(told.body, [*address.answer_headers(), *headers])
        except RecordTooLarge as exc:
            raise ReplyInvalid("the execution has ended, and its answer is too large to be told here, where it is a "
                               f"text inside of JSON: {exc}; it has to be smaller, or waited for") from exc

    def _admit(self, hearing: Hearing, *, answered: bool = False) -> Effects:
        body = hearing.case.request.body
        sending = self._parts.traces.sending(hearing, topics.EXECUTIONS, len(body))
        execution = self._execution(hearing, context_of(sending, hearing.trace), answered=answered)
        try:
            effects = [self._parts.outbox.send(topics.EXECUTIONS, body, execution.to_headers(),
                                               instead=lambda: self._refused_by_broker(hearing, answered=answered))]
        except RecordTooLarge as exc:
            return self._refuse(hearing, _too_large(exc))
        sent(sending, effects)
        if not answered:
            hearing.over()
        return effects

    def _refused_by_broker(self, hearing: Hearing, *, answered: bool) -> Effects:
        """Its topic takes less than that of requests: it would end this service each time it is delivered."""
        why = f"{topics.EXECUTIONS} takes no record of that size: raise its max.message.bytes to 1048588"
        if not answered:
            return self._refuse(hearing, BodyTooLarge("body and headers together are larger than this gateway's broker "
                                                      "takes"))
        self.give_back(hearing)
        return [self._parts.dead_letters.bury(hearing.record, why)]

    def _execution(self, hearing: Hearing, trace: TraceContext, *, answered: bool) -> ExecutionRecord:
        case, request = hearing.case, hearing.case.request
        assert case.project is not None
        assert case.guarded is not None
        kept, holder = case.answering.kept or case.guarded.durable, hearing.holder
        return ExecutionRecord(
            request_id=hearing.request_id, project=case.project.name, version=case.project.version,
            operation=case.operation, client=case.client, source=hearing.source, origin=hearing.origin,
            deadline_ms=case.until_ms, answer_by_ms=hearing.answer_by_ms, trigger=case.trigger,
            timing=hearing.timing, observed=tuple(case.observed), holds=case.holds,
            once=case.once_held, holder="" if holder == hearing.request_id else holder,
            claim={} if answered else hearing.claim(),
            keep_ms=self._parts.results.keep_ms if kept else 0,
            answer_headers=case.answer_headers, reply_to=None if answered else request.reply_to,
            idempotency_key=request.idempotency_key, depth=request.depth,
            token=case.token, address=self._address(hearing),
            content_type=request.content_type, traceparent=str(trace),
            tracestate=request.tracestate, baggage=request.baggage)

    def give_back(self, hearing: Hearing) -> None:
        """What a call has taken that is not going to run; the message that it came by may come again."""
        case = hearing.case
        if case.holds or case.once_taken or case.claimed is not None:
            self._parts.tasks.spawn(self._give_back(hearing, case.once_taken), "give back")

    async def _give_back(self, hearing: Hearing, once: str = "") -> None:
        """Places and a key of a call that ends here: no executor gives them back."""
        parts, case = self._parts, hearing.case
        if case.holds or once:
            await parts.counters.release(hearing.holder, case.holds, once)
        if case.claimed is not None:
            await parts.claims.give_up(hearing)

    def _address(self, hearing: Hearing) -> str:
        """What usage says of where the call comes from."""
        project = hearing.case.project
        wanted = self._parts.keep_addresses and (project is None or project.keeps_addresses)
        return hearing.address if wanted else ""

    def _again(self, hearing: Hearing, kept: KeptAnswer) -> Effects:
        """The first answer again; nothing runs, nothing is spent."""
        reply = ReplyRecord(
            request_id=hearing.request_id, status=kept.status, body=kept.body, content_type=kept.content_type,
            headers={**kept.headers, HTTP_REPLAYED: "true"}, timing=hearing.timing, traceparent=str(hearing.trace))
        return self._answered(hearing, reply, Reason.OK)

    def _refuse(self, hearing: Hearing, error: WeirError) -> Effects:
        parts, case = self._parts, hearing.case
        self.give_back(hearing)
        reply = error_reply(error, hearing.request_id, timing=hearing.timing, traceparent=str(hearing.trace),
                            headers=case.answer_headers, client=case.client if error.status >= 500 else "")
        if error.reason is Reason.TIMEOUT:
            parts.metrics.expired.inc()
        return self._answered(hearing, reply, error.reason, error)

    def _reply(self, hearing: Hearing, reply: ReplyRecord) -> Effects:
        address = hearing.case.request.reply_to
        if address is None:
            return []
        sending = self._parts.traces.sending(hearing, address.topic, len(reply.body))
        if sending is not None:
            reply = msgspec.structs.replace(reply, traceparent=str(sending.context))
        effects = self._parts.answers.send(address, reply, hearing.record)
        sent(sending, effects)
        return effects

    def _answered(self, hearing: Hearing, reply: ReplyRecord, reason: Reason,
                  error: WeirError | None = None) -> Effects:
        parts, case = self._parts, hearing.case
        effects = self._reply(hearing, reply)
        hearing.over(error, reply.status)
        parts.traces.afterwards(hearing, reply, reason, str(error or ""))
        project = case.project.name if case.project is not None else ""
        parts.metrics.requests.inc(project, case.operation, str(reason))
        if hearing.source == "internal" and parts.access.wants(reply.status, parts.clock.elapsed_us()):
            parts.access.note(Ending(
                request_id=hearing.request_id, trace_id=hearing.trace.trace_id, project=project,
                operation=case.operation, method="kafka", source="internal", status=reply.status,
                took_us=sum(hearing.timing.values()), reason=str(reason)))
        if project == CANARY.name:
            return effects
        effects.append(parts.usage.add(UsageEvent(
            kind="request", id=hearing.request_id, time=case.now_ms, project=project, operation=case.operation,
            client=case.client, source=hearing.source, status=reply.status, reason=str(reason),
            bytes_in=len(case.request.body), bytes_out=len(reply.body), timing=hearing.timing,
            trace_id=hearing.trace.trace_id, span_id=hearing.trace.span_id if hearing.trace.sampled else None,
            origin=str(hearing.origin), observed=case.observed,
            address=self._address(hearing) or None, token=case.token or None, proof=hearing.proof(reason))))
        return effects


def undecided(parts: PolicyParts, record: Record, error: Exception) -> Effects:
    """Bury what cannot be read, or decided."""
    if isinstance(error, BadRecord):
        return [parts.dead_letters.bury(record, str(error))]
    log.error("a record could not be decided", exc_info=error,
              extra={"action": actions.REQUEST_FAILED, **told_by(record)})
    return [parts.dead_letters.bury(record, f"{type(error).__name__}: {error}")]


def _with_headers(reply: ReplyRecord, case: Case) -> ReplyRecord:
    """An answer of policy's own, and what the checks have to say in it."""
    return msgspec.structs.replace(reply, headers={**reply.headers, **case.answer_headers})


def _too_large(exc: RecordTooLarge) -> BodyTooLarge:
    return BodyTooLarge(f"body and headers together are too large: {exc}")
