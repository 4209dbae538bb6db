"""The door: executions in; those that are done at once one after the other, each of the others in a task of its own.

In:    polls of `weir.executions`.
Out:   each execution performed: its outcome (`outcome.py`), told to whom it concerns (`closing.py`).
Never: a rule; `run.py` walks, `steps/` act. A turn of the event loop that does not end.
"""

import asyncio
from collections.abc import Sequence

from services.executor.closing import Closing, Effects
from services.executor.journal import Superseded
from services.executor.outcome import Outcomes, scope_of
from services.executor.parts import ExecutorParts
from services.executor.plan import Plan
from services.executor.progress import Following
from services.executor.scene import Parked, Scene, Tally
from shared.contracts import codec
from shared.contracts.execution import ExecutionRecord
from shared.contracts.traceparent import TraceContext
from shared.contracts.usage import LONGEST_US
from shared.errors import BadRecord
from shared.kafka.record import Record
from shared.names import spans
from shared.names.metrics import QUEUE, WORK
from shared.telemetry.logs import about_request
from shared.telemetry.span import Span
from shared.telemetry.tracing import context_of

HOP = "executor"
# after so long whoever else has a turn gets it
_TURN_US = 10_000


class Stage:
    """Runs every execution of this instance; the intake bounds how many at once."""

    def __init__(self, parts: ExecutorParts) -> None:
        """Ready when the intake starts."""
        self._parts, self._outcomes, self._closing = parts, Outcomes(parts), Closing(parts)
        self._clock = parts.surroundings.clock

    def handle(self, records: Sequence[Record]) -> None:
        """Do, or start, all executions of a poll."""
        left = self._turn(records)
        if left:
            self._parts.tasks.spawn(self._by_turns(left), "executions")

    async def _by_turns(self, records: Sequence[Record]) -> None:
        while records:
            await asyncio.sleep(0)
            records = self._turn(records)

    def _turn(self, records: Sequence[Record]) -> Sequence[Record]:
        """As many as one turn has time for; what is left. Those that are done are finished together."""
        until_us, taken = self._clock.elapsed_us() + _TURN_US, 0
        done: list[Record] = []
        effects: set[asyncio.Future[None]] = set()
        for record in records:
            taken += 1
            found = self._take(record)
            if found is not None:
                done.append(record)
                effects.update(found)
                if self._clock.elapsed_us() > until_us:
                    break
        about_request(None)
        if done:
            self._parts.intake.finish_after(done, effects)
        return records[taken:]

    def _take(self, record: Record) -> Effects | None:
        """What has to be acknowledged before the record is done; None when it goes on in a task."""
        try:
            execution = ExecutionRecord.from_headers(codec.header_map(record.headers), record.value)
        except BadRecord as exc:
            about_request(None)
            return [self._parts.dead_letters.bury(record, str(exc))]
        trace = TraceContext.parse(execution.traceparent) or TraceContext.new(sampled=False)
        told = (execution.holds or execution.once or execution.claim
                or (execution.keep_ms and not execution.answer_by_ms))
        plan = None if trace.sampled or told else self._outcomes.at_once(execution)
        if plan is None:
            self._in_a_task(record, execution, trace)
            return None
        return self._perform_now(record, execution, trace, plan)

    def _in_a_task(self, record: Record, execution: ExecutionRecord, trace: TraceContext) -> None:
        self._parts.tasks.spawn(self._admitted(record, execution, trace), execution.request_id)

    def _perform_now(self, record: Record, execution: ExecutionRecord, trace: TraceContext,
                     plan: Plan) -> Effects | None:
        """No coroutine, and no task: most executions wait for nothing, and are over before one could begin."""
        started_us = self._clock.elapsed_us()
        scene, queue_us = self._begin(record, execution, trace)
        outcome = self._outcomes.now(plan, scene)
        if outcome is None:
            self._in_a_task(record, execution, trace)
            return None
        timing = self._measured(scene, queue_us, started_us)
        if self._parts.progress.is_silent(scene):
            return self._closing.now(record, scene, outcome, timing)
        self._parts.tasks.spawn(self._closing.told(record, scene, outcome, timing, Following()), execution.request_id)
        return None

    async def _admitted(self, record: Record, execution: ExecutionRecord, trace: TraceContext) -> None:
        self._outcomes.came(execution.project)
        try:
            await self._perform(record, execution, trace)
        finally:
            self._outcomes.gone(execution.project)

    async def _perform(self, record: Record, execution: ExecutionRecord, trace: TraceContext) -> None:
        started_us = self._clock.elapsed_us()
        scene, queue_us = self._begin(record, execution, trace)
        try:
            following = self._parts.progress.follow(scene)
            outcome = await self._outcomes.of(record, scene)
            if isinstance(outcome, Parked | Superseded):
                await self._left(record, scene, outcome, following)
                return
            timing = self._measured(scene, queue_us, started_us)
            await self._closing.told(record, scene, outcome, timing, following)
        finally:
            if scene.span is not None:
                scene.span.end()

    def _begin(self, record: Record, execution: ExecutionRecord, trace: TraceContext) -> tuple[Scene, int]:
        """Its scene, and for how many microseconds it has waited."""
        parts, now_ms = self._parts, self._clock.now_ms()
        about_request(execution.request_id, trace.trace_id)
        queue_us = min(max(0, (now_ms - record.timestamp) * 1000), LONGEST_US)
        span: Span | None = None
        if trace.sampled:
            span = parts.traces.begin(execution, record, trace, queue_us)
        return Scene(surroundings=parts.surroundings, execution=execution, trace=context_of(span, trace),
                     tally=Tally(), began_ms=now_ms, accepted_ms=execution.accepted_ms or record.timestamp,
                     scope=scope_of(execution), span=span,
                     laps=None if trace.sampled else []), queue_us

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

    def _measured(self, scene: Scene, queue_us: int, started_us: int) -> dict[str, int]:
        """The timing of all hops up to here."""
        metrics, execution, trace = self._parts.metrics, scene.execution, scene.trace
        worked_us = self._clock.elapsed_us() - started_us
        trace_id = trace.trace_id if trace.sampled else None
        metrics.hop_us.add(queue_us, HOP, QUEUE, trace_id=trace_id)
        metrics.hop_us.add(worked_us, HOP, WORK, trace_id=trace_id)
        metrics.execution_us.add(worked_us, execution.project, execution.operation, trace_id=trace_id)
        return {**execution.timing, "executor-queue": queue_us, "executor": worked_us}
