"""Run one plan under its deadline, to its answer.

In:    a plan, a scene.
Out:   the reply of the workflow.
Never: a step kind; Kafka.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from services.executor.plan import Plan
from services.executor.scene import Scene
from services.executor.steps.base import Leap, Replied
from shared.contracts.reply import ReplyRecord
from shared.errors import ReplyInvalid, TimedOut, WorkflowFailed
from shared.names import spans
from shared.names.headers import CONTENT_TYPE, JSON
from shared.project.media import is_json
from shared.project.steps.values import BadValue, media_type_of
from shared.project.written import to_json

# whoever gets one of them reads no body (RFC 9110, 15.3.5, 15.3.6, 15.4.5)
_BODILESS = frozenset({204, 205, 304})


async def run(plan: Plan, scene: Scene, max_reply_bytes: int) -> ReplyRecord:
    """Run to the first reply; `scene.tally` says what was spent.

    Raises an error of the `Failed` branch, Parked, Superseded.
    """
    scene.tally.limit = plan.max_tasks
    # where nothing waits, each step looks at the clock: that is enough, and costs less than a timer
    leap = await (_in_time(plan, scene) if plan.waits or plan.durable else _walk(plan, scene))
    if scene.journal is not None:
        scene.journal.over()
    return _ended(plan, scene, leap, max_reply_bytes)


def run_now(plan: Plan, scene: Scene, max_reply_bytes: int) -> ReplyRecord:
    """The same for a plan that is done at once, unsampled. Raises an error of the `Failed` branch."""
    scene.tally.limit = plan.max_tasks
    return _ended(plan, scene, plan.steps.now(scene, scene.laps), max_reply_bytes)


def _ended(plan: Plan, scene: Scene, leap: Leap | None, max_reply_bytes: int) -> ReplyRecord:
    if not isinstance(leap, Replied):
        if plan.operation.mode != "request_response":
            return ReplyRecord(request_id=scene.execution.request_id, status=204, content_type=None)
        raise WorkflowFailed(f"workflow {plan.operation.workflow!r} ended without a reply")
    return _reply(plan, scene, leap, max_reply_bytes)


async def _in_time(plan: Plan, scene: Scene) -> Leap | None:
    try:
        async with asyncio.timeout(scene.left_ms() / 1000):
            if plan.durable:
                execution = scene.execution
                scene.journal = await scene.surroundings.journals.open(
                    execution.project, execution.own_id, scene.left_ms())
                scene.parks = True
            return await _walk(plan, scene)
    except TimeoutError:
        raise TimedOut(f"operation {plan.operation.name!r} did not finish in time "
                       f"({'run_timeout' if plan.operation.run_timeout_ms else 'timeout'})",
                       members={} if scene.tally.at is None else {"step": scene.tally.at}) from None


async def _walk(plan: Plan, scene: Scene) -> Leap | None:
    if not scene.trace.sampled:
        return await plan.steps.walk(scene)
    workflow = plan.operation.workflow
    with scene.surroundings.tracing.span(spans.workflow(workflow), scene.trace,
                                         attributes={spans.WORKFLOW: workflow}) as span:
        return await plan.steps.walk(scene.inside_of(span))


def _reply(plan: Plan, scene: Scene, replied: Replied, max_reply_bytes: int) -> ReplyRecord:
    name = replied.name or plan.replies.named(replied.status)
    status = replied.status or plan.replies.status_of(name)
    misfits = plan.replies.check(name, replied.body, replied.headers)
    if misfits:
        raise _invalid(scene, f"reply {name!r}: " + "; ".join(
            f"{error.where} {error.pointer or '/'}: {error.message}" for error in misfits)[:2000])
    content_type = _type_of(scene, replied.headers) if replied.headers else JSON
    try:
        body = b"" if status in _BODILESS else _bytes_of(replied.body, content_type)
    except orjson.JSONEncodeError as exc:
        raise _invalid(scene, f"the reply is no JSON: {exc}") from None
    # what no record holds would be no answer at all
    size = len(body) + (len(orjson.dumps(replied.headers)) if replied.headers else 0)
    if size > max_reply_bytes:
        raise _invalid(scene, f"the reply has {size} bytes, the limit is {max_reply_bytes} "
                              "(WEIR_EXECUTOR_MAX_REPLY_BYTES)")
    return ReplyRecord(request_id=scene.execution.request_id, status=status, body=body,
                       headers=dict(replied.headers),
                       content_type=content_type if body else None)


def _type_of(scene: Scene, headers: Mapping[str, str]) -> str:
    """What the reply says its body is; by default it is JSON."""
    said = next((value for name, value in headers.items() if name.lower() == CONTENT_TYPE), JSON)
    try:
        return media_type_of(said)
    except BadValue as exc:
        raise _invalid(scene, str(exc)) from None


def _bytes_of(body: Any, content_type: str) -> bytes:
    """JSON, but for a text that is said to be something else. Raises orjson.JSONEncodeError."""
    if body is None:
        return b""
    if isinstance(body, str) and not is_json(content_type):
        return body.encode()
    return to_json(body)


def _invalid(scene: Scene, why: str) -> ReplyInvalid:
    return ReplyInvalid(why, members={} if scene.tally.at is None else {"step": scene.tally.at})
