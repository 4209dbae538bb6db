"""How an execution ends: it is let in, waits for what is away, runs.

In:    an execution on its scene.
Out:   its answer, why, and the step that failed; or that it goes on later, or elsewhere.
Never: the answer told to anybody (`closing.py`).
"""

import asyncio
import logging
from collections import Counter
from typing import Any

from services.executor.journal import Superseded
from services.executor.parts import ExecutorParts
from services.executor.run import run
from services.executor.scene import Parked, Scene
from services.executor.stream import Stream
from shared.contracts import codec
from shared.contracts.execution import ExecutionRecord
from shared.contracts.reply import ReplyRecord, error_reply
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
from shared.kafka.record import Record
from shared.names import actions
from shared.names.reasons import Reason

log = logging.getLogger(__name__)
Outcome = tuple[ReplyRecord, Reason, str | None]
# tries of an execution that nobody waits for, where the platform is not there for it
_PATIENCE, _PAUSE_S = 60, 1.0


class Outcomes:
    """Of all executions of this process; no project takes all places."""

    def __init__(self, parts: ExecutorParts) -> None:
        """Nothing runs yet."""
        self._parts = parts
        self._running: Counter[str] = Counter()
        parts.metrics.bound("busiest-project", lambda: max(self._running.values(), default=0),
                            parts.settings.max_in_flight_per_project)

    def came(self, project: str) -> None:
        """One more execution of a project is here, until it has `gone`."""
        self._running[project] += 1

    def gone(self, project: str) -> None:
        """One less."""
        self._running[project] -= 1
        if not self._running[project]:
            del self._running[project]

    async def of(self, record: Record, scene: Scene) -> Outcome | Parked | Superseded:
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
                scene.begin_anew(scope_of(scene.execution))
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


def scope_of(execution: ExecutionRecord) -> dict[str, Any]:
    """What expressions see before anything has run."""
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
