"""What a failure of a step is: where it happened, what is said of it, what whoever handles it sees.

In:    planned steps, what they raised.
Out:   errors with their place; `errors.<step>` in the scene.
Never: a step kind; the running of a step.
"""

import logging

from msgspec.structs import replace

from services.executor.planned import PlannedStep
from services.executor.retries import kind_of, status_of
from services.executor.scene import Scene
from shared.errors import WeirError, WorkflowFailed
from shared.names import actions

log = logging.getLogger(__name__)


def name(step: PlannedStep, error: WeirError) -> None:
    """Say where it happened, and no more than the owner wants: before a span, a log line or an answer has it."""
    error.members = {"step": step.id, **error.members}
    if step.mask:
        error.args = (f"step {step.id!r} failed, and says no more (mask)",)


def broken(step: PlannedStep, scene: Scene, exc: Exception) -> WeirError:
    """What a step raises that is no `WeirError`: the log has it, those who call do not."""
    log.error("step %s (%s): %s", step.id, step.kind, type(exc).__name__, exc_info=not step.mask, extra={
        "action": actions.REQUEST_FAILED, "request_id": scene.execution.request_id})
    return WorkflowFailed(f"the step cannot be done with these values ({type(exc).__name__}); the executor's log "
                          "has more", kind="step-broken")


def broken_around(step: PlannedStep, scene: Scene, exc: Exception) -> WeirError:
    """Its condition or its fallback cannot be told: nothing that the step itself could handle."""
    error = broken(step, scene, exc)
    name(step, error)
    return error


def fell(step: PlannedStep, scene: Scene, error: WeirError) -> None:
    """Whoever handles the error reads it."""
    scene.scope["errors"][step.id] = {
        "kind": kind_of(error), "step": error.members["step"], "message": str(error),
        "status": status_of(error), "attempt": error.members.get("attempt", 1)}
    scene.keep(step.id, None)


def in_catch(step: PlannedStep, inner: Scene, scene: Scene) -> Scene:
    """The place of what runs when a step has failed.

    Beside what the step itself held: steps of a workflow that it called may have the same ids.
    """
    apart = step.holds and inner.journal is not None
    return replace(inner.beside(), handled=scene.handled, path=f"{inner.path[:-1]}!/" if apart else inner.path)
