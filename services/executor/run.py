"""Walk one plan, step by step, under a deadline.

In:    a plan, a scene.
Out:   the reply of the workflow.
Never: a step kind; Kafka.
"""

import asyncio
from typing import Any

import orjson

from services.executor.plan import Plan, PlannedStep
from services.executor.scene import Scene
from services.executor.steps.base import Replied
from shared.contracts.reply import ReplyRecord
from shared.errors import ReplyInvalid, TimedOut, WeirError, WorkflowFailed
from shared.names import spans
from shared.names.headers import JSON
from shared.project.access.forms import changed


async def run(plan: Plan, scene: Scene, max_reply_bytes: int) -> ReplyRecord:
    """Run to the first reply. Raises an error of the `Failed` branch; `scene.tasks` says what was spent."""
    scene.tasks = 1
    try:
        async with asyncio.timeout(scene.left_ms() / 1000):
            replied = await _walk(plan, scene)
    except TimeoutError:
        raise TimedOut(f"operation {plan.operation.name!r} did not finish within "
                       f"{plan.operation.timeout_ms} ms") from None
    return _reply(plan, scene, replied, max_reply_bytes)


async def _walk(plan: Plan, scene: Scene) -> Replied:
    for step in plan.steps:
        if step.condition is not None and not step.condition.render(scene.scope):
            continue
        outcome = await _step(step, scene)
        if isinstance(outcome, Replied):
            return outcome
        scene.keep(step.id, outcome)
    raise WorkflowFailed(f"workflow {plan.operation.workflow!r} ended without a reply")


async def _step(step: PlannedStep, scene: Scene) -> Any | Replied:
    scene.left_ms()
    scene.tasks += 1
    with scene.surroundings.tracing.span(spans.step(step.id), scene.trace, attributes={
            spans.STEP_ID: step.id, spans.STEP_KIND: step.kind} if scene.trace.sampled else None) as span:
        try:
            return await step.work.run(scene if span is None else scene.under(span))
        except WeirError as error:
            error.members = {**error.members, "step": step.id}
            raise


def _reply(plan: Plan, scene: Scene, replied: Replied, max_reply_bytes: int) -> ReplyRecord:
    status = replied.status or plan.replies.status_of(replied.name)
    misfits = plan.replies.check(replied.name, replied.body)
    if misfits:
        raise ReplyInvalid("; ".join(f"{error.pointer or '/'}: {error.message}" for error in misfits)[:2000])
    body = b"" if replied.body is None else orjson.dumps(replied.body)
    if len(body) > max_reply_bytes:
        raise ReplyInvalid(f"the reply has {len(body)} bytes, the limit is {max_reply_bytes} "
                           "(WEIR_EXECUTOR_MAX_REPLY_BYTES)")
    return ReplyRecord(request_id=scene.execution.request_id, status=status, body=body,
                       headers=dict(changed(replied.headers, plan.answer)),
                       content_type=JSON if body else None)
