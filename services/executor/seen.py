"""What a durable execution has seen, it sees again when its plan is walked once more.

In:    an expression, the scene of its step.
Out:   what it gives; where that may be something else each time, what it gave first, by the journal.
Never: a wait for a note: each effect waits for all notes before it; an expression that takes long while everybody else
       waits for a turn.

An expression that gives the same each time needs no note: what it reads is noted, or came with the execution.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec.structs import replace

from services.executor.journal import Journal, error_from_doc, error_to_doc
from services.executor.outputs import check_size
from services.executor.retries import goes_on
from services.executor.scene import Scene
from shared.errors import Failed, TasksSpent, TimedOut, WeirError
from shared.project.expressions import Template, TooLong

T = TypeVar("T")


async def rendered(template: Template, scene: Scene, name: str = "") -> Any:
    """Its value; `name`: what it is to the step, where the step itself is not noted with what it gave."""
    if template.constant:
        return template.render(scene.scope)
    if scene.journal is None or not template.volatile or not name:
        return await computed(lambda there: template.render(there.scope), scene)
    return await once(lambda there: template.render(there.scope), scene, scene.journal, name)


async def holds(condition: Template, scene: Scene, name: str) -> bool:
    """Whether it holds; `name`: what it is to the step."""
    if scene.journal is None or not condition.volatile:
        return await computed(lambda there: condition.holds(there.scope), scene)
    return await once(lambda there: condition.holds(there.scope), scene, scene.journal, name)


async def computed(compute: Callable[[Scene], T], scene: Scene) -> T:
    """What expressions alone give, at once or, where they take longer than a turn, in a thread. Raises TimedOut."""
    try:
        return compute(scene)
    except TooLong:
        pass
    # steps beside this place go on meanwhile, and add what they give
    scope = scene.scope
    there = replace(scene, scope={**scope, "steps": dict(scope["steps"]), "errors": dict(scope["errors"])})
    try:
        async with asyncio.timeout(scene.left_ms() / 1000) as limit:
            return await scene.surroundings.aside.run(lambda: compute(there), scene.execution.project)
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimedOut("the deadline of the operation passed while an expression was computed") from None


async def once(compute: Callable[[Scene], T], scene: Scene, journal: Journal, name: str) -> T:
    """What was noted before, or is computed and noted now."""
    place = f"{scene.path}{name}"
    noted = journal.noted(place)
    if noted is not None:
        before: T = told(noted)
        return before
    try:
        found = await computed(compute, scene)
        check_size(found, scene.surroundings.max_output_bytes)
    except Failed as error:
        if leads_on(error, scene):
            journal.note(place, {"error": error_to_doc(error)}, mask=scene.mask)
        raise
    journal.note(place, {"output": found}, mask=scene.mask)
    return found


def told(noted: dict[str, Any]) -> Any:
    """The output that a note tells. Raises the error that it tells."""
    if "error" in noted:
        raise error_from_doc(noted["error"])
    return noted["output"]


def leads_on(error: WeirError, scene: Scene) -> bool:
    """Whether something comes after an error: it is handled, or something around its place is tried again.

    Any other is not noted: its place is the first unfinished one, should the execution be resumed.
    """
    return (scene.handled or goes_on(error, scene.tries)) and may_be_handled(error, scene)


def may_be_handled(error: WeirError, scene: Scene) -> bool:
    """A workflow gets over what went wrong in it, not over its own end."""
    out_of_time = scene.execution.deadline_ms <= scene.surroundings.clock.now_ms()
    return isinstance(error, Failed) and not isinstance(error, TasksSpent) and not out_of_time
