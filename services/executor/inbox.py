"""The door: executions in, replies and usage out.

In:    polls of `weir.executions`.
Out:   one task per execution; its reply and its usage event, both acknowledged before the record is finished.
Never: a rule; `run.py` walks, `steps/` act.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.executor.journal import Superseded
from services.executor.keeping import Keeping
from services.executor.progress import Following, Progress
from services.executor.run import run
from services.executor.scene import Parked, Scene, Surroundings, Tally
from services.executor.settings import ExecutorSettings
from services.executor.shelf import Shelf
from services.executor.stream import Stream
from services.executor.traces import ExecutorTraces, with_steps
from shared.contracts import codec
from shared.contracts.execution import ExecutionRecord
from shared.contracts.reply import ReplyRecord, error_reply
from shared.contracts.traceparent import TraceContext
from shared.contracts.usage import UsageEvent
from shared.errors import (
    BadRecord,
    Cancelled,
    InputInvalid,
    Overloaded,
    Refused,
    TimedOut,
    Unavailable,
    WeirError,
    WorkflowFailed,
    WorkflowStopped,
)
from shared.kafka.answers import Answers
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.envelopes import UsageEnvelopes
from shared.kafka.intake import Intake
from shared.kafka.record import Record
from shared.names import actions, spans
from shared.names.metrics import QUEUE, WORK
from shared.names.reasons import Reason
from shared.project.canary import CANARY
from shared.runtime.tasks import Tasks
from shared.telemetry.access import AccessLog, Ending
from shared.telemetry.logs import about_request
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import context_of, sent

log = logging.getLogger(__name__)
HOP = "executor"
Outcome = tuple[ReplyRecord, Reason, str | None]
# tries of an execution that nobody waits for, where the platform is not there for it
_PATIENCE, _PAUSE_S = 60, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorParts:
    """What the door works with; built in `wire.py`."""

    settings: ExecutorSettings
    surroundings: Surroundings
    shelf: Shelf
    intake: Intake
    answers: Answers
    usage: UsageEnvelopes
    dead_letters: DeadLetters
    metrics: Metrics
    access: AccessLog
    tasks: Tasks
    keeping: Keeping
    progress: Progress
    traces: ExecutorTraces


class Stage:
    """Runs every execution of this instance; the intake bounds how many at once."""

    def __init__(self, parts: ExecutorParts) -> None:
        """Ready when the intake starts."""
        self._parts = parts
        self._running: Counter[str] = Counter()
        parts.metrics.bound("busiest-project", lambda: max(self._running.values(), default=0),
                            parts.settings.max_in_flight_per_project)

    def handle(self, records: Sequence[Record]) -> None:
        """Start all executions of a poll."""
        for record in records:
            try:
                execution = ExecutionRecord.from_headers(codec.header_map(record.headers), record.value)
            except BadRecord as exc:
                self._parts.intake.finish_after([record], [self._parts.dead_letters.bury(record, str(exc))])
            else:
                self._parts.tasks.spawn(self._admitted(record, execution), execution.request_id)

    async def _admitted(self, record: Record, execution: ExecutionRecord) -> None:
        self._running[execution.project] += 1
        try:
            await self._perform(record, execution)
        finally:
            self._running[execution.project] -= 1
            if not self._running[execution.project]:
                del self._running[execution.project]

    async def _perform(self, record: Record, execution: ExecutionRecord) -> None:
        parts, clock = self._parts, self._parts.surroundings.clock
        started_us, now_ms = clock.elapsed_us(), clock.now_ms()
        trace = TraceContext.parse(execution.traceparent) or TraceContext.new(sampled=False)
        about_request(execution.request_id, trace.trace_id)
        queue_us = max(0, (now_ms - record.timestamp) * 1000)
        span = parts.traces.begin(execution, record, trace, queue_us)
        scene = Scene(surroundings=parts.surroundings, execution=execution, trace=context_of(span, trace),
                      tally=Tally(), began_ms=now_ms, scope=_scope(execution), span=span,
                      laps=None if trace.sampled else [])
        try:
            following = parts.progress.follow(scene)
            outcome = await self._outcome(record, scene)
            if isinstance(outcome, Parked | Superseded):
                await self._left(record, scene, outcome, following)
                return
            worked_us = clock.elapsed_us() - started_us
            timing = {**execution.timing, "executor-queue": queue_us, "executor": worked_us}
            self._measure(execution, queue_us, worked_us, trace)
            await self._answer(record, scene, outcome, timing, following)
        finally:
            if span is not None:
                span.end()

    async def _left(self, record: Record, scene: Scene, why: Parked | Superseded, following: Following | None) -> None:
        """It goes on without this record, later or elsewhere already."""
        parts = self._parts
        if isinstance(why, Superseded):
            await parts.progress.leave(scene, following)
            await scene.tally.settled()
        else:
            await parts.progress.wait(scene, why.until_ms, following)
            if scene.span is not None:
                scene.span.event(spans.PARKED, {spans.PARK_UNTIL_MS: why.until_ms})
        parts.intake.finish_after([record], [])

    async def _answer(self, record: Record, scene: Scene, outcome: Outcome, timing: dict[str, int],
                      following: Following | None) -> None:
        parts, execution, (reply, reason, step) = self._parts, scene.execution, outcome
        parts.traces.ended(scene.span, scene, reply.status, reason)
        if execution.holds:
            # before the answer: whoever has it may call again at once
            await parts.keeping.give_back(execution)
        told = parts.traces.worth_telling(scene, reply.status, timing)
        sending = None
        if execution.reply_to is not None:
            sending = parts.traces.sending(scene, execution.reply_to.topic, len(reply.body))
        answer = ReplyRecord(
            request_id=reply.request_id, status=reply.status, body=reply.body,
            timing=with_steps(scene, timing, parts.surroundings.clock.elapsed_us()) if told else timing,
            headers={**reply.headers, **execution.answer_headers}, content_type=reply.content_type,
            traceparent=str(context_of(sending, scene.trace)), client=execution.client if told else "")
        if execution.claim:
            await parts.keeping.answer(execution, reply if scene.stream is None else scene.stream.whole(reply))
        await parts.progress.end(scene, answer, following)
        effects: list[asyncio.Future[None]] = []
        if scene.stream is not None and scene.stream.began:
            effects.extend(scene.stream.end(answer))
        elif execution.reply_to is not None:
            effects.extend(parts.answers.send(execution.reply_to, answer, record))
        sent(sending, effects[-1:])
        if told:
            parts.traces.afterwards(scene, answer, reason, step)
        # they stop at the deadline, and their tasks count
        await scene.tally.settled()
        self._finish(record, scene, answer, (reason, step, timing), effects)

    def _measure(self, execution: ExecutionRecord, queue_us: int, worked_us: int, trace: TraceContext) -> None:
        metrics, trace_id = self._parts.metrics, trace.trace_id if trace.sampled else None
        metrics.hop_us.add(queue_us, HOP, QUEUE, trace_id=trace_id)
        metrics.hop_us.add(worked_us, HOP, WORK, trace_id=trace_id)
        metrics.execution_us.add(worked_us, execution.project, execution.operation, trace_id=trace_id)

    async def _outcome(self, record: Record, scene: Scene) -> Outcome | Parked | Superseded:
        """The answer, why, and the step that failed; or that it goes on later, or elsewhere."""
        execution = scene.execution
        try:
            return await self._patiently(record, scene), Reason.OK, None
        except (Parked, Superseded) as left:
            return left
        except (WeirError, asyncio.CancelledError) as exc:
            if isinstance(exc, WeirError):
                error = exc
            elif scene.tally.ended is not None:
                error = scene.tally.unwound()
            else:
                raise
            await self._ended(scene, error)
            failed_step = error.members.get("step")
            return (error_reply(error, execution.request_id), error.reason,
                    None if failed_step is None else str(failed_step))
        except Exception:
            log.exception("execution %s failed", execution.request_id,
                          extra={"action": actions.REQUEST_FAILED, "request_id": execution.request_id})
            failure = WorkflowFailed("an error inside the executor; its log has the request id")
            return error_reply(failure, execution.request_id), failure.reason, None

    async def _ended(self, scene: Scene, error: WeirError) -> None:
        """It did not end well: what it has cost, and whether it can go on once more."""
        execution, tally = scene.execution, scene.tally
        # what was refused was not run, but for what had run before it was put aside
        tally.tasks = max(execution.spent, 0 if isinstance(error, Refused) else tally.tasks)
        if isinstance(error, Cancelled) or (isinstance(error, WorkflowStopped) and execution.spent):
            tally.ended = error
            if scene.journal is not None or execution.spent:
                await self._parts.keeping.forget(execution)
        elif scene.journal is not None or execution.spent:
            await self._parts.keeping.failed(execution)

    async def _patiently(self, record: Record, scene: Scene) -> ReplyRecord:
        """One that nobody waits for does not fail because the store, or a project's version, is away for a while."""
        for _ in range(_PATIENCE if scene.execution.reply_to is None else 0):
            try:
                return await self._run(record, scene)
            except Unavailable as exc:
                log.warning("execution %s goes on in a moment: %s", scene.execution.request_id, exc,
                            extra={"action": actions.STORE_AWAY, "request_id": scene.execution.request_id})
                await scene.tally.settled()
                scene.begin_anew(_scope(scene.execution))
                await asyncio.sleep(_PAUSE_S)
        return await self._run(record, scene)

    async def _run(self, record: Record, scene: Scene) -> ReplyRecord:
        parts, execution, tally = self._parts, scene.execution, scene.tally
        endings, tally.main = parts.surroundings.endings, asyncio.current_task()
        with endings.execution(execution.request_id, tally.end):
            if (execution.answer_by_ms or execution.deadline_ms) <= parts.surroundings.clock.now_ms():
                parts.metrics.expired.inc()
                raise TimedOut("the deadline had passed before the workflow could start")
            bound = parts.settings.max_in_flight_per_project
            if self._running[execution.project] > bound:
                if execution.reply_to is None:
                    raise await parts.keeping.put_aside(execution)
                raise Overloaded(f"{bound} executions of this project run here already "
                                 "(WEIR_EXECUTOR_MAX_IN_FLIGHT_PER_PROJECT)", headers={"Retry-After": "1"})
            plan = await parts.shelf.plan(execution.project, execution.version, execution.operation)
            scene.scope["config"] = plan.config
            scene.rule, scene.workflow, scene.route = plan.tracing, plan.operation.workflow, plan.operation.path
            scene.scope["trigger"]["body"] = _body(execution)
            if plan.operation.mode == "events":
                scene.stream = Stream(parts.answers, record, execution, parts.settings.max_reply_bytes)
            with endings.inside(execution.project, plan.operation.workflow, tally.end):
                try:
                    return await run(plan, scene, parts.settings.max_reply_bytes)
                except Parked as parked:
                    # what runs beside it is a part of it, and what it did is noted when this one is taken up
                    await tally.settled()
                    await endings.look()
                    await parts.keeping.park(execution, parked.until_ms, tally.tasks)
                    raise

    def _finish(self, record: Record, scene: Scene, reply: ReplyRecord, end: tuple[Reason, str | None, dict[str, int]],
                effects: list[asyncio.Future[None]]) -> None:
        parts, execution, (reason, step, timing) = self._parts, scene.execution, end
        parts.metrics.requests.inc(execution.project, execution.operation, str(reason))
        if scene.tally.retries:
            parts.metrics.retries.inc(execution.project, execution.operation, by=scene.tally.retries)
        if execution.source == "internal" and parts.access.wants(reply.status, parts.surroundings.clock.elapsed_us()):
            parts.access.note(Ending(
                request_id=execution.request_id, trace_id=scene.trace.trace_id, project=execution.project,
                operation=execution.operation, method="kafka", source="internal", status=reply.status,
                took_us=sum(timing.values()), reason=str(reason)))
        if execution.project != CANARY.name:
            parts.metrics.tasks.inc(execution.project, by=scene.tally.tasks)
            effects.append(parts.usage.add(UsageEvent(
                kind="request", id=execution.request_id, time=parts.surroundings.clock.now_ms(),
                project=execution.project, operation=execution.operation, client=execution.client,
                source=execution.source, status=reply.status, reason=str(reason), tasks=scene.tally.tasks,
                bytes_in=len(execution.body), timing=timing,
                bytes_out=len(reply.body) if scene.stream is None else scene.stream.bytes_out or len(reply.body),
                trace_id=scene.trace.trace_id,
                span_id=scene.trace.span_id if scene.trace.sampled else None,
                origin=str(execution.origin), observed=list(execution.observed),
                step=step, address=execution.address or None, token=execution.token or None)))
        parts.intake.finish_after([record], effects)


def _scope(execution: ExecutionRecord) -> dict[str, Any]:
    return {"trigger": dict(execution.trigger), "steps": {}, "errors": {},
            "execution": {"id": execution.request_id, "operation": execution.operation,
                          "project": execution.project, "version": execution.version}}


def _body(execution: ExecutionRecord) -> Any:
    media = (execution.content_type or "application/json").partition(";")[0].strip().lower()
    if not execution.body:
        return None
    if media.endswith("json"):
        try:
            return codec.load(execution.body, "the request body")
        except BadRecord as exc:
            # where an operation declares no body, nobody has looked at it before
            raise InputInvalid(str(exc)) from exc
    return execution.body.decode(errors="replace")

