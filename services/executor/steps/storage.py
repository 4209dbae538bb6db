"""The `storage` step: a value that outlives the step, the execution, or both.

In:    a scope, a key, what to do.
Out:   the value, a length, a number, or whether there was one.
Never: a value of unbounded size; the same effect twice in a durable execution.
"""

from typing import Any

import orjson

from services.executor.scene import Scene
from services.executor.seen import rendered
from services.executor.steps.base import Compiler
from shared.errors import WorkflowFailed
from shared.project.expressions import as_text, compile_value
from shared.project.steps.values import BadValue, whole_number_of
from shared.project.steps.work import StorageSettings
from shared.project.written import to_json
from shared.store.redis import StoreUnavailable

# what an execution keeps for itself is forgotten so long after its deadline
_GRACE_MS = 3_600_000


class StorageStep:
    """One action on one key."""

    effect = True

    def __init__(self, settings: StorageSettings, compiler: Compiler) -> None:
        """Compiles key and value."""
        self._settings, self._workflow = settings, compiler.workflow
        self._key, self._value = compile_value(settings.key), compile_value(settings.value)

    async def run(self, scene: Scene) -> Any:
        """What the action gives. Raises WorkflowFailed: storage-key-empty, store-unavailable, stored-too-large,
        stored-otherwise, output-too-large.
        """
        bounds, settings = scene.surroundings.storage, self._settings
        place, value = await self._place(scene), await self._render(scene)
        for what, size in (("key", len(place.encode())), ("value", len(value))):
            if size > bounds.max_bytes:
                raise WorkflowFailed(f"a {what} of {size} bytes is too large to be stored; {bounds.max_bytes} are "
                                     "allowed (WEIR_EXECUTOR_STORAGE_MAX_BYTES)", kind="stored-too-large")
        ttl_ms = settings.ttl_ms or (scene.left_ms() + _GRACE_MS if settings.scope == "run" else 0)
        # what it did lasts as long as the notes of its execution, which are shortened once that is over
        journal = "" if scene.journal is None else scene.journal.key
        try:
            answer = await scene.surroundings.store.run("storage", [], [
                place, settings.action, value, ttl_ms, bounds.max_items, scene.surroundings.max_output_bytes,
                journal, f"{scene.path}done", scene.left_ms() + _GRACE_MS])
        except StoreUnavailable as exc:
            raise WorkflowFailed("the store does not answer", kind="store-unavailable", status=503) from exc
        if answer.startswith(b"!"):
            raise _told(answer.decode()[1:], bounds.max_items)
        return orjson.loads(answer)

    async def _render(self, scene: Scene) -> bytes:
        value = await rendered(self._value, scene)
        if self._settings.action == "increment":
            try:
                value = whole_number_of(value)
            except BadValue as exc:
                raise WorkflowFailed(str(exc)) from exc
        return to_json(value)

    async def _place(self, scene: Scene) -> str:
        inside = {"run": f"run:{scene.execution.request_id}", "workflow": f"workflow:{self._workflow}",
                  "project": "project"}[self._settings.scope]
        key = as_text(await rendered(self._key, scene))
        if not key:
            # one place for all callers of whom something is missing
            raise WorkflowFailed("the `key` of a storage step is empty: what its expression reads is null, or not "
                                 "there", kind="storage-key-empty")
        return f"weir:storage:{scene.execution.project}:{inside}:{key}"


def _told(why: str, most: int) -> WorkflowFailed:
    """What cannot be done with what is there, as the script says it."""
    if why == "FULL":
        return WorkflowFailed(f"the list has {most} items and takes no more (WEIR_EXECUTOR_STORAGE_MAX_ITEMS)",
                              kind="stored-too-large")
    if why == "LARGE":
        return WorkflowFailed("the list has more bytes than a step may give (WEIR_EXECUTOR_MAX_OUTPUT_BYTES); `shift` "
                              "takes its items one by one", kind="output-too-large")
    return WorkflowFailed(f"what is stored there is {why.removeprefix('KIND ')}; this action does not fit it",
                          kind="stored-otherwise")
