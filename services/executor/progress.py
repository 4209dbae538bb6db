"""How kept executions stand, told to the store while they run.

In:    an execution, its scene, in the end its answer.
Out:   results in the store.
Never: an execution that fails because the store is away: its result is then not known, and the log says so.
"""

import asyncio
import logging

import msgspec

from services.executor.scene import Scene
from shared.contracts.execution_result import ExecutionResult, State
from shared.contracts.reply import ReplyRecord
from shared.names import actions
from shared.store.redis import Store, StoreUnavailable
from shared.store.results import put

log = logging.getLogger(__name__)
# most are over before anybody could look
_FIRST_S, _EVERY_S = 0.1, 1.0


class Progress:
    """Of all executions of this process."""

    def __init__(self, store: Store) -> None:
        """Ready at once."""
        self._store = store

    def follow(self, scene: Scene) -> asyncio.Task[None] | None:
        """Tell how an execution stands, every second; None for one whose result is not kept."""
        if not scene.execution.keep_ms:
            return None
        return scene.surroundings.tasks.spawn(self._follow(scene), "progress")

    async def end(self, scene: Scene, reply: ReplyRecord, following: asyncio.Task[None] | None) -> None:
        """Tell the answer."""
        if following is None:
            return
        await scene.surroundings.tasks.end(following)
        result = _standing(scene, "running").answered(
            reply, scene.surroundings.clock.now_ms(), scene.tally.tasks, tuple(scene.scope["steps"]))
        await self._put(scene, msgspec.structs.replace(result, state="cancelled") if scene.tally.ended else result)

    async def wait(self, scene: Scene, until_ms: int, following: asyncio.Task[None] | None) -> None:
        """Tell that it waits; for longer than results are kept, if it must."""
        if following is None:
            return
        await scene.surroundings.tasks.end(following)
        left_ms = until_ms - scene.surroundings.clock.now_ms()
        await self._put(scene, _standing(scene, "waiting"), left_ms)

    async def _follow(self, scene: Scene) -> None:
        pause_s = _FIRST_S
        while True:
            await asyncio.sleep(pause_s)
            await self._put(scene, _standing(scene, "running"))
            pause_s = _EVERY_S

    async def _put(self, scene: Scene, result: ExecutionResult, more_ms: int = 0) -> None:
        execution = scene.execution
        try:
            await put(self._store, execution.project, result, execution.keep_ms + more_ms)
        except StoreUnavailable as exc:
            log.warning("how an execution stands cannot be told: %s", exc,
                        extra={"action": actions.STORE_AWAY, "request_id": execution.request_id})


def _standing(scene: Scene, state: State) -> ExecutionResult:
    execution = scene.execution
    return ExecutionResult(
        id=execution.request_id, operation=execution.operation, client=execution.client, state=state,
        accepted=scene.began_ms, tasks=scene.tally.tasks, steps=tuple(scene.scope["steps"]))
