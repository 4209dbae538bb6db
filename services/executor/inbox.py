"""The door: executions in, one task each.

In:    polls of `weir.executions`.
Out:   each execution performed: its outcome (`outcome.py`), told to whom it concerns (`closing.py`).
Never: a rule; `run.py` walks, `steps/` act.
"""

from collections.abc import Sequence

from services.executor.closing import Closing
from services.executor.journal import Superseded
from services.executor.outcome import Outcomes, scope_of
from services.executor.parts import ExecutorParts
from services.executor.progress import Following
from services.executor.scene import Parked, Scene, Tally
from shared.contracts import codec
from shared.contracts.execution import ExecutionRecord
from shared.contracts.traceparent import TraceContext
from shared.errors import BadRecord
from shared.kafka.record import Record
from shared.names import spans
from shared.names.metrics import QUEUE, WORK
from shared.telemetry.logs import about_request
from shared.telemetry.tracing import context_of

HOP = "executor"


class Stage:
    """Runs every execution of this instance; the intake bounds how many at once."""

    def __init__(self, parts: ExecutorParts) -> None:
        """Ready when the intake starts."""
        self._parts, self._outcomes, self._closing = parts, Outcomes(parts), Closing(parts)

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
        self._outcomes.came(execution.project)
        try:
            await self._perform(record, execution)
        finally:
            self._outcomes.gone(execution.project)

    async def _perform(self, record: Record, execution: ExecutionRecord) -> None:
        parts, clock = self._parts, self._parts.surroundings.clock
        started_us, now_ms = clock.elapsed_us(), clock.now_ms()
        trace = TraceContext.parse(execution.traceparent) or TraceContext.new(sampled=False)
        about_request(execution.request_id, trace.trace_id)
        queue_us = max(0, (now_ms - record.timestamp) * 1000)
        span = parts.traces.begin(execution, record, trace, queue_us)
        scene = Scene(surroundings=parts.surroundings, execution=execution, trace=context_of(span, trace),
                      tally=Tally(), began_ms=now_ms, scope=scope_of(execution), span=span,
                      laps=None if trace.sampled else [])
        try:
            following = parts.progress.follow(scene)
            outcome = await self._outcomes.of(record, scene)
            if isinstance(outcome, Parked | Superseded):
                await self._left(record, scene, outcome, following)
                return
            worked_us = clock.elapsed_us() - started_us
            timing = {**execution.timing, "executor-queue": queue_us, "executor": worked_us}
            self._measure(execution, queue_us, worked_us, trace)
            await self._closing.told(record, scene, outcome, timing, following)
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

    def _measure(self, execution: ExecutionRecord, queue_us: int, worked_us: int, trace: TraceContext) -> None:
        metrics, trace_id = self._parts.metrics, trace.trace_id if trace.sampled else None
        metrics.hop_us.add(queue_us, HOP, QUEUE, trace_id=trace_id)
        metrics.hop_us.add(worked_us, HOP, WORK, trace_id=trace_id)
        metrics.execution_us.add(worked_us, execution.project, execution.operation, trace_id=trace_id)
