"""The door: request records in, decisions out.

In:    polls of both request topics.
Out:   executions, refusals, usage events, dead letters.
Never: a rule; `decide.py` and `checks/` have them.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec

import msgspec

from services.policy.claims import Claims
from services.policy.counters import Counters
from services.policy.hearing import Hearing
from services.policy.results import Results
from services.policy.settings import PolicySettings
from services.policy.traces import PolicyTraces
from services.policy.unfit import unfit
from shared.clock import Clock
from shared.contracts import ids
from shared.contracts.codec import header_map
from shared.contracts.execution import ExecutionRecord
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.reply import ReplyRecord, error_reply
from shared.contracts.request import RequestRecord, secret_headers_in
from shared.contracts.usage import UsageEvent
from shared.decision.book import PolicyBook
from shared.decision.case import Case
from shared.decision.decide import Decision, look, settle
from shared.errors import BadRecord, BodyTooLarge, WeirError
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters, told_by
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.faults import RecordTooLarge
from shared.kafka.intake import Intake
from shared.kafka.outbox import Outbox
from shared.kafka.record import Record
from shared.names import actions, topics
from shared.names.headers import HTTP_REPLAYED
from shared.names.reasons import Reason
from shared.project.canary import CANARY
from shared.project.modes import RESULTS, Answering
from shared.runtime.key_sets import KeySets
from shared.runtime.tasks import Tasks
from shared.store.last_used import LastUsed
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import context_of, sent

log = logging.getLogger(__name__)
Effects = list[asyncio.Future[None]]
P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyParts:
    """What the door works with; built in `wire.py`."""

    settings: PolicySettings
    clock: Clock
    book: PolicyBook
    intake: Intake
    outbox: Outbox
    answers: Answers
    usage: UsageEnvelopes
    dead_letters: DeadLetters
    metrics: Metrics
    traces: PolicyTraces
    tasks: Tasks
    counters: Counters
    claims: Claims
    results: Results
    key_sets: KeySets
    last_used: LastUsed
    keep_addresses: bool


class Bench:
    """Handles every record of this instance, poll by poll."""

    def __init__(self, parts: PolicyParts) -> None:
        """Ready when the intake starts."""
        self._parts = parts
        self._waiting: list[Hearing] = []
        self._asking = False

    def handle(self, records: Sequence[Record]) -> None:
        """Decide all records of a poll; they are finished when every effect is acknowledged."""
        effects: Effects = []
        done: list[Record] = []
        waiting: list[Hearing] = []
        for record in records:
            found = self._safely(record, self._open, record, waiting)
            if found is not None:
                done.append(record)
                effects.extend(found)
        self._parts.intake.finish_after(done, effects)
        if waiting:
            self._waiting += waiting
            if not self._asking:
                self._asking = True
                self._parts.tasks.spawn(self._ask_in_turn(), "store")

    async def _ask_in_turn(self) -> None:
        """While the store works on one batch the next one fills, over several polls when they come fast."""
        while self._waiting:
            hearings, self._waiting = self._waiting, []
            await self._ask_the_store(hearings)
        self._asking = False

    async def _with_keys(self, record: Record, url: str) -> None:
        await self._parts.key_sets.refresh(url)
        self.handle([record])

    async def _ask_the_store(self, hearings: Sequence[Hearing]) -> None:
        """One round trip for all calls that have an idempotency key, one for all that a limit applies to."""
        effects: Effects = []
        going: list[Hearing] = []
        for hearing, held in zip(hearings, await self._parts.claims.take(hearings), strict=True):
            if held is None:
                going.append(hearing)
            else:
                effects.extend(self._safely(hearing.record, self._close, hearing, held) or ())
        limited = [hearing for hearing in going if hearing.case.demands]
        if limited:
            outcomes = await self._parts.counters.spend([hearing.case.ask(hearing.request_id) for hearing in limited])
            for hearing, outcome in zip(limited, outcomes, strict=True):
                hearing.case.outcomes = outcome
        for hearing in going:
            effects.extend(self._safely(hearing.record, self._settle, hearing) or ())
        self._parts.intake.finish_after([hearing.record for hearing in hearings], effects)

    def _settle(self, hearing: Hearing) -> Effects:
        if hearing.case.lap is not None:
            hearing.case.lap("store")
        return self._close(hearing, settle(hearing.case))

    def _safely(self, record: Record, work: Callable[P, Effects | None], *args: P.args,
                **more: P.kwargs) -> Effects | None:
        try:
            return work(*args, **more)
        except BadRecord as exc:
            return [self._parts.dead_letters.bury(record, str(exc))]
        except Exception as exc:
            log.exception("a record could not be decided", extra={"action": actions.REQUEST_FAILED, **told_by(record)})
            return [self._parts.dead_letters.bury(record, f"{type(exc).__name__}: {exc}")]

    def _open(self, record: Record, waiting: list[Hearing]) -> Effects | None:
        """What ends a call; None while it waits for something, and is finished later."""
        parts = self._parts
        started_us, now_ms = parts.clock.elapsed_us(), parts.clock.now_ms()
        headers = header_map(record.headers)
        request = RequestRecord.from_headers(headers, record.value, edge=record.topic == topics.REQUESTS_EDGE)
        if request.reply_to is not None and not request.reply_to.allowed_by(parts.settings.reply_prefixes):
            raise BadRecord(f"reply topic {request.reply_to.topic[:200]!r} is not allowed; topics that start with "
                            f"one of {', '.join(parts.settings.reply_prefixes)} are (WEIR_POLICY_REPLY_PREFIXES)")
        trace = parts.traces.context(request, parts.book, edge=record.topic == topics.REQUESTS_EDGE)
        case = Case(request=request, topic=record.topic, book=parts.book, now_ms=now_ms)
        queue_us = max(0, (now_ms - record.timestamp) * 1000)
        span = deciding = None
        if trace.sampled and (opened := parts.traces.begin(record, case, trace, queue_us)) is not None:
            span, deciding = opened
            trace = span.context
        hearing = Hearing(
            case=case, record=record, request_id=request.request_id or ids.request_id(now_ms), trace=trace,
            started_us=started_us, timing={"policy-queue": queue_us}, span=span, deciding=deciding)
        decision = unfit(case.request, secret_headers_in(headers), parts.settings.max_body_bytes) or look(case)
        if decision is None and (case.demands or case.claim is not None):
            waiting.append(hearing)
            return None
        if case.wanted_keys and parts.key_sets.worth_asking(case.wanted_keys):
            parts.tasks.spawn(self._with_keys(record, case.wanted_keys), "key set")
            return None
        return self._close(hearing, decision or settle(case))

    def _close(self, hearing: Hearing, ruling: Decision | KeptAnswer) -> Effects:
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
            if case.claimed:
                parts.tasks.spawn(parts.claims.give_up(case), "give up a key")
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
            reply = await parts.results.accept(case, hearing.request_id, how)
        except WeirError as error:
            await asyncio.gather(*self._refuse(hearing, error))
            return
        if case.claim is not None:
            await parts.claims.keep(case.claim, reply)
        effects = self._admit(hearing, answered=True)
        if effects:
            effects.extend(self._reply(hearing, reply))
        hearing.over(status=reply.status)
        await asyncio.gather(*effects)

    async def _tell(self, hearing: Hearing) -> None:
        """What became of an execution; no workflow runs for it."""
        try:
            effects = self._answered(hearing, await self._parts.results.tell(hearing.case, hearing.request_id),
                                     Reason.OK)
        except WeirError as error:
            effects = self._refuse(hearing, error)
        await asyncio.gather(*effects)

    def _admit(self, hearing: Hearing, *, answered: bool = False) -> Effects:
        case, request = hearing.case, hearing.case.request
        assert case.project is not None
        assert case.guarded is not None
        kept = case.answering.kept or case.guarded.durable
        sending = self._parts.traces.sending(hearing, topics.EXECUTIONS, len(request.body))
        execution = ExecutionRecord(
            request_id=hearing.request_id, project=case.project.name, version=case.project.version,
            operation=case.operation, client=case.client, source=hearing.source, origin=hearing.origin,
            deadline_ms=case.until_ms, trigger=case.trigger,
            timing=hearing.timing, observed=tuple(case.observed), holds=case.holds,
            claim={} if answered else hearing.claim(),
            keep_ms=self._parts.results.keep_ms if kept else 0,
            answer_headers=case.answer_headers, reply_to=None if answered else request.reply_to,
            idempotency_key=request.idempotency_key, depth=request.depth,
            token=case.token, address=self._address(hearing),
            content_type=request.content_type, traceparent=str(context_of(sending, hearing.trace)),
            tracestate=request.tracestate, baggage=request.baggage)
        try:
            effects = [self._parts.outbox.send(topics.EXECUTIONS, request.body, execution.to_headers())]
            sent(sending, effects)
            if not answered:
                hearing.over()
            return effects
        except RecordTooLarge as exc:
            return self._refuse(hearing, BodyTooLarge(f"body and headers together are too large: {exc}"))

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
        if case.holds:
            parts.tasks.spawn(parts.counters.release(hearing.request_id, case.holds), "release")
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
