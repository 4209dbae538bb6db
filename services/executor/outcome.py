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
from services.executor.plan import Plan
from services.executor.run import run, run_now
from services.executor.scene import Parked, Scene
from services.executor.stream import Stream
from services.executor.walk import LARGE_BODY
from shared.contracts.execution import ExecutionRecord
from shared.contracts.reply import ReplyRecord, error_reply
from shared.contracts.request import read_body
from shared.errors import (
    Cancelled,
    ClientGone,
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
from shared.project.expressions import TooLong

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

    def at_once(self, execution: ExecutionRecord) -> Plan | None:
        """The plan of an execution that can be done at once: it has not been put aside, and there is room for it; its
        body is not large."""
        plan = self._parts.shelf.known(execution.project, execution.version, execution.operation)
        if (plan is None or not plan.at_once or execution.spent or len(execution.body) > LARGE_BODY
                or not self._has_room(execution.project, 1) or plan.steps.takes_long()):
            return None
        return plan

    def now(self, plan: Plan, scene: Scene) -> Outcome | None:
        """As `of`, at once; None where it takes too long for that, and has to begin anew."""
        execution, parts = scene.execution, self._parts
        try:
            parts.surroundings.endings.begins(execution.request_id)
            self._look_at_time(scene)
            _furnish(scene, plan)
            parts.surroundings.endings.enters(execution.project, plan.operation.workflow)
            return run_now(plan, scene, parts.settings.max_reply_bytes), Reason.OK, None
        except TooLong:
            return None
        except WeirError as error:
            _charge(scene, error)
            return _failed(execution, error)
        except Exception as exc:
            return _broken(execution, exc)

    async def of(self, record: Record, scene: Scene) -> Outcome | Parked | Superseded:
        """The answer, why, and the step that failed; or that it goes on later, or elsewhere."""
        execution = scene.execution
        try:
            return await self._patiently(record, scene), Reason.OK, None
        except (Parked, Superseded) as left:
            return left
        except asyncio.CancelledError as exc:
            if self._parts.tasks.stopping:
                raise
            # whatever ended it, its caller waits for an answer
            ended = scene.tally.unwound()
            if ended is None:
                return _broken(execution, exc)
            error = ended
        except WeirError as exc:
            error = exc
        except Exception as exc:
            return _broken(execution, exc)
        if scene.journal is not None and await scene.journal.goes_on_elsewhere():
            # it failed because this process stood still, perhaps, and may be over there, and well
            return Superseded("another walk goes on with this execution")
        await self._ended(scene, error)
        return _failed(execution, error)

    async def _ended(self, scene: Scene, error: WeirError) -> None:
        """It did not end well: whether it can go on once more."""
        execution = scene.execution
        if _charge(scene, error):
            # it may have been about to be put aside, whatever it is
            await self._parts.keeping.forget(execution)
        elif scene.journal is not None or execution.spent or execution.resumed_ms:
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
        endings, tally = self._parts.surroundings.endings, scene.tally
        tally.main = asyncio.current_task()
        try:
            with endings.execution(scene.execution.request_id, tally.end):
                return await self._let_in(record, scene)
        finally:
            tally.main = None

    async def _let_in(self, record: Record, scene: Scene) -> ReplyRecord:
        parts, execution, tally = self._parts, scene.execution, scene.tally
        endings = parts.surroundings.endings
        try:
            self._look_at_time(scene)
        except TimedOut:
            tally.tasks = int(await self._may_have_run(execution))
            raise
        if not self._has_room(execution.project):
            if execution.reply_to is None or await self._has_begun(execution):
                raise await parts.keeping.put_aside(scene)
            raise Overloaded(f"{parts.settings.max_in_flight_per_project} executions of this project run here "
                             "already (WEIR_EXECUTOR_MAX_IN_FLIGHT_PER_PROJECT)", headers={"Retry-After": "1"})
        plan = await parts.shelf.plan(execution.project, execution.version, execution.operation)
        _furnish(scene, plan)
        if plan.operation.mode == "events":
            scene.stream = Stream(parts.answers, record, execution, parts.settings.max_reply_bytes)
        with endings.inside(execution.project, plan.operation.workflow, tally.end):
            try:
                return await run(plan, scene, parts.settings.max_reply_bytes)
            except Parked as parked:
                # what runs beside it is a part of it, and what it did is noted when this one is taken up
                await tally.settled()
                await endings.look()
                await parts.keeping.park(scene, parked.until_ms, tally.tasks)
                # whoever said so since that look has found nobody who waits
                await endings.look()
                raise

    async def _has_begun(self, execution: ExecutionRecord) -> bool:
        """Whether it goes on: it was put aside before, or is durable, and another executor had it when that died."""
        parts = self._parts
        if execution.spent:
            return True
        plan = parts.shelf.known(execution.project, execution.version, execution.operation)
        return plan is not None and plan.durable and await parts.surroundings.journals.has(
            execution.project, execution.own_id)

    def _look_at_time(self, scene: Scene) -> None:
        """Raises TimedOut. Nothing has run then: nothing is charged, and a key is for whoever tries again."""
        execution = scene.execution
        if (execution.answer_by_ms or execution.deadline_ms) <= self._parts.surroundings.clock.now_ms():
            self._parts.metrics.expired.inc()
            scene.tally.tasks = 0
            raise TimedOut("the deadline had passed before the workflow could start")

    async def _may_have_run(self, execution: ExecutionRecord) -> bool:
        """Whether an executor may have died in the middle of one that comes too late now; asked where it has a key."""
        parts = self._parts
        plan = parts.shelf.known(execution.project, execution.version, execution.operation)
        if not execution.claim or (plan is not None and not plan.durable):
            return False
        try:
            return await parts.surroundings.journals.has(execution.project, execution.own_id)
        except Unavailable:
            # nobody can say so
            return True

    def _has_room(self, project: str, more: int = 0) -> bool:
        return self._running.get(project, 0) + more <= self._parts.settings.max_in_flight_per_project


def scope_of(execution: ExecutionRecord) -> dict[str, Any]:
    """What expressions see before anything has run."""
    return {"trigger": dict(execution.trigger), "steps": {}, "errors": {},
            "execution": {"id": execution.request_id, "operation": execution.operation,
                          "project": execution.project, "version": execution.version}}


def _furnish(scene: Scene, plan: Plan) -> None:
    """What the plan says, and the request's body."""
    scene.scope["config"] = plan.config
    scene.rule, scene.workflow, scene.route = plan.tracing, plan.operation.workflow, plan.operation.path
    scene.scope["trigger"]["body"] = read_body(scene.execution.body, scene.execution.content_type)


def _charge(scene: Scene, error: WeirError) -> bool:
    """What one that did not end well has cost; whether it has ended for good."""
    execution, tally = scene.execution, scene.tally
    # what was refused, or whose caller had gone, was not run, but for what had run before: here, or before it was put
    # aside
    nothing_ran = isinstance(error, Refused | ClientGone) and tally.tasks == 1
    tally.tasks = max(execution.spent, 0 if nothing_ran else tally.tasks)
    if isinstance(error, Cancelled) or (isinstance(error, WorkflowStopped) and execution.spent):
        tally.ended = error
        return True
    return False


def _failed(execution: ExecutionRecord, error: WeirError) -> Outcome:
    step = error.members.get("step")
    return error_reply(error, execution.request_id), error.reason, None if step is None else str(step)


def _broken(execution: ExecutionRecord, error: BaseException) -> Outcome:
    log.error("execution %s failed", execution.request_id, exc_info=error,
              extra={"action": actions.REQUEST_FAILED, "request_id": execution.request_id})
    failure = WorkflowFailed("an error inside the executor; its log has the request id")
    return error_reply(failure, execution.request_id), failure.reason, None
