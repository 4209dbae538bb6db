"""The end of an execution, told to all who want to know: its caller, whoever asks for its result, traces, usage.

In:    an execution's answer, why, and the step that failed.
Out:   its reply and its usage event, both acknowledged before its record is finished.
Never: another answer than the one that came.
"""

import asyncio

from services.executor.outcome import Outcome
from services.executor.parts import ExecutorParts
from services.executor.progress import Following
from services.executor.scene import Scene
from services.executor.traces import with_steps
from shared.contracts.execution import ExecutionRecord
from shared.contracts.reply import ReplyRecord
from shared.contracts.usage import LONGEST_US, UsageEvent
from shared.kafka.record import Record
from shared.names.reasons import Reason
from shared.project.canary import CANARY
from shared.telemetry.access import Ending
from shared.telemetry.span import Span
from shared.telemetry.tracing import context_of, sent

Effects = list[asyncio.Future[None]]


class Closing:
    """Of all executions of this process."""

    def __init__(self, parts: ExecutorParts) -> None:
        """Ready at once."""
        self._parts = parts

    async def told(self, record: Record, scene: Scene, outcome: Outcome, timing: dict[str, int],
                   following: Following | None) -> None:
        """Give the answer, and finish the record once all who want to know of it are told."""
        parts, execution, (reply, reason, _) = self._parts, scene.execution, outcome
        if scene.stream is not None:
            scene.stream.close()
        parts.traces.ended(scene.span, scene, reply.status, reason)
        if execution.holds or execution.once:
            # before the answer: whoever has it may call again at once
            await parts.keeping.give_back(execution, reply.status)
        told = parts.traces.worth_telling(scene, reply.status, timing)
        sending = None
        if execution.reply_to is not None:
            sending = parts.traces.sending(scene, execution.reply_to.topic, len(reply.body))
        answer = self._answer(scene, reply, timing, sending, told=told)
        if execution.claim and scene.tally.tasks:
            await parts.keeping.answer(execution, reply if scene.stream is None else scene.stream.whole(reply))
        elif execution.claim:
            await parts.keeping.free(execution)
        await parts.progress.end(scene, answer, following, well=reason is Reason.OK)
        effects: Effects = []
        if scene.stream is not None and scene.stream.began:
            effects.extend(scene.stream.end(answer))
        elif execution.reply_to is not None:
            effects.extend(parts.answers.send(execution.reply_to, answer, record))
        sent(sending, effects[-1:])
        if told:
            parts.traces.afterwards(scene, answer, reason, outcome[2])
        # they stop at the deadline, and their tasks count
        await scene.tally.settled()
        effects.extend(self._counted(scene, answer, outcome, timing))
        parts.intake.finish_after([record], effects)

    def now(self, record: Record, scene: Scene, outcome: Outcome, timing: dict[str, int]) -> Effects:
        """Give the answer of one that was done at once, where the store is told nothing of it."""
        parts, reply_to, (reply, reason, step) = self._parts, scene.execution.reply_to, outcome
        told = parts.traces.worth_telling(scene, reply.status, timing)
        answer = self._answer(scene, reply, timing, None, told=told)
        effects = [] if reply_to is None else parts.answers.send(reply_to, answer, record)
        if told:
            parts.traces.afterwards(scene, answer, reason, step)
        effects.extend(self._counted(scene, answer, outcome, timing))
        return effects

    def _answer(self, scene: Scene, reply: ReplyRecord, timing: dict[str, int], sending: Span | None, *,
                told: bool) -> ReplyRecord:
        execution = scene.execution
        return ReplyRecord(
            request_id=reply.request_id, status=reply.status, body=reply.body,
            timing=with_steps(scene, timing, self._parts.surroundings.clock.elapsed_us()) if told else timing,
            headers={**reply.headers, **execution.answer_headers}, content_type=reply.content_type,
            traceparent=str(context_of(sending, scene.trace)), client=execution.client if told else "")

    def _counted(self, scene: Scene, reply: ReplyRecord, outcome: Outcome, timing: dict[str, int]) -> Effects:
        """Counted where it counts; the usage event of all but the canary."""
        parts, execution, (_, reason, step) = self._parts, scene.execution, outcome
        parts.metrics.requests.inc(execution.project, execution.operation, str(reason))
        if scene.tally.retries:
            parts.metrics.retries.inc(execution.project, execution.operation, by=scene.tally.retries)
        if execution.source == "internal" and parts.access.wants(reply.status, parts.surroundings.clock.elapsed_us()):
            parts.access.note(Ending(
                request_id=execution.request_id, trace_id=scene.trace.trace_id, project=execution.project,
                operation=execution.operation, method="kafka", source="internal", status=reply.status,
                took_us=sum(timing.values()), reason=str(reason)))
        if execution.project == CANARY.name:
            return []
        parts.metrics.tasks.inc(execution.project, by=scene.tally.tasks)
        now_ms = parts.surroundings.clock.now_ms()
        return [parts.usage.add(UsageEvent(
            kind="request", id=execution.request_id, time=now_ms,
            project=execution.project, operation=execution.operation, client=execution.client,
            source=execution.source, status=reply.status, reason=str(reason), tasks=scene.tally.tasks,
            bytes_in=len(execution.body), timing=_since_it_came(execution, timing, now_ms),
            bytes_out=len(reply.body) if scene.stream is None else scene.stream.bytes_out or len(reply.body),
            trace_id=scene.trace.trace_id,
            span_id=scene.trace.span_id if scene.trace.sampled else None,
            origin=str(execution.origin), observed=list(execution.observed),
            step=step, address=execution.address or None, token=execution.token or None))]


def _since_it_came(execution: ExecutionRecord, timing: dict[str, int], now_ms: int) -> dict[str, int]:
    """Of one that was put aside its last record tells of the last walk alone: what it has waited for counts, too.

    In usage, not in its answer: the edge takes what stands there for a queue before executors that are busy.
    """
    if not execution.accepted_ms:
        return timing
    waited_us = (now_ms - execution.accepted_ms) * 1000 - timing["executor"]
    return {**timing, "executor-queue": min(max(timing["executor-queue"], waited_us), LONGEST_US)}
