"""The `call` step: another workflow of the project.

In:    its name and input.
Out:   the body of its reply; null when it ends without one, or is not waited for.
Never: its steps in the caller's scope; a chain of calls that the interpreter could not follow.
"""

import asyncio
import logging
from typing import Any

from services.executor.journal import Superseded
from services.executor.outputs import check_size
from services.executor.scene import Scene
from services.executor.seen import rendered
from services.executor.steps.base import Callee, Compiler, Leap, Replied
from services.executor.together import together
from shared.errors import WeirError, WorkflowFailed
from shared.names import actions, spans
from shared.project.expressions import compile_value
from shared.project.steps.control import CallSettings

log = logging.getLogger(__name__)


class CallStep:
    """Its tasks are those of the execution; its errors name the step that failed in it."""

    holds = True

    def __init__(self, settings: CallSettings, compiler: Compiler) -> None:
        """Compiles the input."""
        self._settings, self._input = settings, compile_value(settings.input)
        self._callee = compiler.callee(settings.workflow)

    async def run(self, scene: Scene) -> Any:
        """Its result. Raises WorkflowFailed: call-too-deep, input-invalid, output-invalid, output-too-large,
        call-failed.
        """
        if scene.calls >= scene.surroundings.max_call_depth:
            raise WorkflowFailed(f"{scene.calls} calls stand behind this one already, each made by the workflow of the "
                                 "one before (WEIR_EXECUTOR_MAX_CALL_DEPTH)", kind="call-too-deep")
        callee, value = self._callee(), await rendered(self._input, scene, "input")
        if misfits := callee.misfits_in(value):
            raise WorkflowFailed(f"the input of workflow {callee.name!r} does not fit: {misfits}", kind="input-invalid")
        there = scene.elsewhere({**scene.scope["trigger"], "body": value})
        if self._settings.wait:
            return await self._result(callee, there)
        there.parks, there.tries = False, ()
        scene.spawn(self._quietly(callee, there), f"call {callee.name}")
        return None

    async def _result(self, callee: Callee, there: Scene) -> Any:
        with there.surroundings.endings.inside(there.execution.project, callee.name, there.tally.end):
            leap = await (_walked(callee, there) if there.calls == 1 or callee.walk.at_once
                          else _walked_apart(callee, there))
        if not isinstance(leap, Replied):
            return None
        # a version in force may name one that nobody declares
        status = leap.status or callee.statuses.get(leap.name or "success", 200)
        if status >= 400:
            raise WorkflowFailed(f"workflow {callee.name!r} answered {status}{f' ({leap.name})' if leap.name else ''}",
                                 kind="call-failed")
        if misfits := callee.misfits_out(leap.body):
            raise WorkflowFailed(f"the output of workflow {callee.name!r} does not fit: {misfits}",
                                 kind="output-invalid")
        check_size(leap.body, there.surroundings.max_output_bytes)
        return leap.body

    async def _quietly(self, callee: Callee, there: Scene) -> None:
        try:
            # no other clock watches it: the main walk may have ended
            async with asyncio.timeout(there.left_ms() / 1000):
                await self._result(callee, there)
        except Superseded:
            # whoever goes on with the execution runs this as well
            return
        except TimeoutError:
            log.warning("workflow %s, which nobody waits for, did not finish in time", callee.name, extra={
                "action": actions.REQUEST_FAILED, "request_id": there.execution.request_id})
        except WeirError as error:
            log.warning("workflow %s, which nobody waits for: %s", callee.name, error, extra={
                "action": actions.REQUEST_FAILED, "request_id": there.execution.request_id})
        except Exception:
            log.exception("workflow %s, which nobody waits for", callee.name, extra={
                "action": actions.REQUEST_FAILED, "request_id": there.execution.request_id})


async def _walked(callee: Callee, there: Scene) -> Leap | None:
    return await (_traced(callee, there) if there.trace.sampled else callee.walk.walk(there))


async def _walked_apart(callee: Callee, there: Scene) -> Leap | None:
    """In a task, whose stack is a new one: a chain of calls comes to its end, however deep their steps stand."""
    ended: list[Leap | None] = []

    async def walk() -> None:
        ended.append(await _walked(callee, there))
    await together([walk()])
    return ended[0]


async def _traced(callee: Callee, there: Scene) -> Leap | None:
    with there.surroundings.tracing.span(spans.workflow(callee.name), there.trace,
                                         attributes={spans.WORKFLOW: callee.name}) as span:
        return await callee.walk.walk(there.inside_of(span))
