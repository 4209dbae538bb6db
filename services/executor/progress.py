"""How kept executions stand, told to the store while they run.

In:    an execution, its scene, in the end its answer.
Out:   results in the store.
Never: an execution that fails because the store is away: how it ended is told a little later then.
"""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial

import msgspec

from services.executor.scene import Scene
from shared.contracts.execution import ExecutionRecord
from shared.contracts.execution_result import ExecutionResult, State
from shared.contracts.reply import ReplyRecord
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store.late import Late, Offer
from shared.store.redis import Store, StoreUnavailable
from shared.store.results import ResultWriter, get

log = logging.getLogger(__name__)
# most are over before anybody could look
_FIRST_S, _EVERY_S = 0.1, 1.0
# whoever is told by the edge that its wait is over finds the result there already
_EARLY_MS = 300


@dataclass(slots=True)
class Following:
    """One execution that is told of: not yet, or by a task. Most are over before their time comes."""

    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None


class Progress:
    """Of all executions of this process."""

    def __init__(self, store: Store, patient: Store, tasks: Tasks) -> None:
        """`patient`: where nobody waits for the answer, its result is worth a wait."""
        self._patient, self._late = patient, Late(tasks)
        self._prompt_writer, self._patient_writer = ResultWriter(store, tasks), ResultWriter(patient, tasks)

    def follow(self, scene: Scene) -> Following | None:
        """Tell how an execution stands, every second; None for one whose result is not kept.

        Where a caller waits for the answer, from shortly before the end of its wait.
        """
        execution = scene.execution
        if not execution.keep_ms:
            return None
        first_s = max(0, _from_ms(execution) - scene.began_ms) / 1000 if execution.answer_by_ms else _FIRST_S
        following = Following()
        following.timer = asyncio.get_running_loop().call_later(first_s, self._begin, scene, following)
        return following

    def _begin(self, scene: Scene, following: Following) -> None:
        following.task = scene.surroundings.tasks.spawn(self._follow(scene), "progress")

    @staticmethod
    def is_silent(scene: Scene) -> bool:
        """Whether nothing is told of an execution that ends now."""
        execution = scene.execution
        return not execution.keep_ms or _is_awaited(execution, scene.surroundings.clock.now_ms())

    async def end(self, scene: Scene, reply: ReplyRecord, following: Following | None, *, well: bool) -> None:
        """Tell the answer, unless its caller still waits for it; `well`: its workflow has given it."""
        if following is None:
            return
        await self._end(scene, following)
        now_ms = scene.surroundings.clock.now_ms()
        if _is_awaited(scene.execution, now_ms):
            return
        steps = await self._before(scene) if _is_aside(scene) else tuple(scene.scope["steps"])
        result = _standing(scene, "running").answered(reply, now_ms, scene.tally.tasks, steps, well=well)
        result = msgspec.structs.replace(result, state="cancelled") if scene.tally.ended else result
        await self._late.offer(Offer(
            partial(self._write, scene.execution, result), scene.execution.request_id, scene.execution.keep_ms,
            "how an execution has ended cannot be told", len(result.body)))

    async def wait(self, scene: Scene, until_ms: int, following: Following | None) -> None:
        """Tell that it waits; for longer than results are kept, if it must."""
        if following is None:
            return
        await self._end(scene, following)
        left_ms = until_ms - scene.surroundings.clock.now_ms()
        await self._put(scene, _standing(scene, "waiting", until_ms), left_ms)

    async def leave(self, scene: Scene, following: Following | None) -> None:
        """Tell no more: somebody else does."""
        if following is not None:
            await self._end(scene, following)

    @staticmethod
    async def _end(scene: Scene, following: Following) -> None:
        if following.timer is not None:
            following.timer.cancel()
        if following.task is not None:
            await scene.surroundings.tasks.end(following.task)

    async def _before(self, scene: Scene) -> tuple[str, ...]:
        """The steps of one that has ended before it could go on: those that were done when it was put aside."""
        execution = scene.execution
        try:
            found = await get(self._patient, execution.project, execution.request_id)
        except StoreUnavailable as exc:
            _untold(execution, exc)
            return ()
        return () if found is None else found.steps

    async def _follow(self, scene: Scene) -> None:
        while True:
            if not _is_aside(scene):
                await self._put(scene, _standing(scene, "running"))
            await asyncio.sleep(_EVERY_S)

    async def _put(self, scene: Scene, result: ExecutionResult, more_ms: int = 0) -> None:
        try:
            await self._write(scene.execution, result, more_ms)
        except StoreUnavailable as exc:
            _untold(scene.execution, exc)

    async def _write(self, execution: ExecutionRecord, result: ExecutionResult, more_ms: int = 0) -> None:
        waited_for = execution.reply_to is not None and not execution.answer_by_ms
        writer = self._prompt_writer if waited_for else self._patient_writer
        await writer.put(execution.project, result, execution.keep_ms + more_ms)


def _is_aside(scene: Scene) -> bool:
    """Whether it was put aside and does not go on yet: whoever does has its former steps at once, by its journal."""
    return scene.execution.spent > 0 and not scene.scope["steps"]


def _untold(execution: ExecutionRecord, error: StoreUnavailable) -> None:
    log.warning("how an execution stands cannot be told: %s", error,
                extra={"action": actions.STORE_AWAY, "request_id": execution.request_id})


def _is_awaited(execution: ExecutionRecord, now_ms: int) -> bool:
    """Whether its caller still waits for the answer, and will for as long as it is on its way."""
    return execution.answer_by_ms > 0 and now_ms < _from_ms(execution)


def _from_ms(execution: ExecutionRecord) -> int:
    return execution.answer_by_ms - _EARLY_MS


def _standing(scene: Scene, state: State, until_ms: int = 0) -> ExecutionResult:
    execution = scene.execution
    return ExecutionResult(
        id=execution.request_id, operation=execution.operation, client=execution.client, state=state,
        accepted=scene.accepted_ms, resumed=execution.resumed_ms, until=until_ms, tasks=scene.tally.tasks,
        steps=tuple(scene.scope["steps"]))
