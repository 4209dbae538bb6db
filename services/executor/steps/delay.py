"""The `delay` step: a pause.

In:    for how long, or until when.
Out:   null.
Never: a worker held for long by a durable execution; a pause beyond the deadline: it would end in nothing else.
"""

import asyncio

from services.executor.pauses import leaves
from services.executor.scene import Parked, Scene
from services.executor.seen import rendered
from services.executor.steps.base import Compiler
from shared.errors import TimedOut, WorkflowFailed
from shared.project.expressions import compile_value
from shared.project.steps.values import BadValue, unix_ms_of
from shared.project.steps.work import DelaySettings


class DelayStep:
    """Sleeps; whoever else runs here goes on."""

    def __init__(self, settings: DelaySettings, _: Compiler) -> None:
        """Compiles the end."""
        self._for_ms, self._until = settings.for_ms, compile_value(settings.until)
        # counted from now on: a walk that begins anew would wait for another time
        self._moves = settings.for_ms is not None or self._until.volatile

    async def run(self, scene: Scene) -> None:
        """Raises TimedOut at once when the deadline comes first, WorkflowFailed for what is no time."""
        now_ms = scene.surroundings.clock.now_ms()
        until_ms = await self._end(scene, now_ms)
        wait_ms = max(0, until_ms - now_ms)
        if wait_ms >= scene.left_ms():
            raise TimedOut(f"a delay of {wait_ms} ms ends after the deadline of the operation")
        if await leaves(scene, until_ms):
            raise Parked(until_ms)
        await asyncio.sleep(max(0, until_ms - scene.surroundings.clock.now_ms()) / 1000)

    async def _end(self, scene: Scene, now_ms: int) -> int:
        """Unix ms; a durable execution that is taken up again waits for the same time."""
        if scene.journal is None or not self._moves:
            return await self._end_from(scene, now_ms)
        place = f"{scene.path}end"
        noted = scene.journal.noted(place)
        if noted is not None:
            return int(noted["output"])
        end_ms = await self._end_from(scene, now_ms)
        scene.journal.note(place, {"output": end_ms})
        await scene.journal.settled()
        return end_ms

    async def _end_from(self, scene: Scene, now_ms: int) -> int:
        if self._for_ms is not None:
            return now_ms + self._for_ms
        try:
            return unix_ms_of(await rendered(self._until, scene))
        except BadValue as exc:
            raise WorkflowFailed(str(exc)) from exc
