"""The `loop` step: the same steps for each item, or while something holds.

In:    an array, an object or a condition; steps.
Out:   what each pass collected, in order; a reply or a stop from inside.
Never: an endless loop: passes are bounded.
"""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any

from services.executor.outputs import check_sum, size_of
from services.executor.scene import Scene
from services.executor.seen import holds, rendered
from services.executor.steps.base import Broken, Compiler, Continued, Leap
from services.executor.together import together
from shared.errors import WeirError, WorkflowFailed
from shared.names import spans
from shared.project.expressions import compile_condition, compile_value
from shared.project.steps.control import LoopSettings
from shared.project.steps.values import BadValue, check_loop_over

Pass = dict[str, Any]
_NOTHING = Continued()
# further ones have no spans of their own
_TOLD_PASSES = 20


class LoopStep:
    """Each pass has a scope of its own; concurrent ones run in as many lanes as are allowed."""

    holds = True
    waits = False

    def __init__(self, settings: LoopSettings, compiler: Compiler) -> None:
        """Compiles the steps of a pass."""
        self._settings, self._steps = settings, compiler.block(settings.steps)
        self._over = compile_value(settings.over)
        self._while = compile_condition(settings.while_) if settings.while_ is not None else None
        self._collect = compile_value(settings.collect) if settings.collect is not None else None

    async def run(self, scene: Scene) -> list[Any] | Leap:
        """What was collected. Raises WorkflowFailed for what cannot be looped over, or too many passes."""
        if self._settings.concurrency > 1:
            # one more than there may be: a caller's array may have many more
            return await self._at_once(scene, list(islice(await self._passes(scene), self._settings.max_passes + 1)))
        found: list[Any] = []
        size, limit = 0, scene.surroundings.max_output_bytes
        for index, one in enumerate(await self._passes(scene)):
            inner = self._inner(scene, one | {"last": found[-1]} if found else one)
            if self._while is not None and not await holds(self._while, inner, "while"):
                break
            self._bound(index)
            outcome = await self._pass(inner)
            if isinstance(outcome, Broken):
                break
            if isinstance(outcome, Leap) and not isinstance(outcome, Continued):
                return outcome
            if outcome is not _NOTHING:
                found.append(outcome)
                size += size_of(outcome)
                check_sum(size, limit)
        return found

    async def _at_once(self, scene: Scene, passes: list[Pass]) -> list[Any]:
        if passes:
            self._bound(len(passes) - 1)
        outcomes: list[Any] = [_NOTHING] * len(passes)
        waiting, size = iter(enumerate(passes)), 0

        async def lane() -> None:
            nonlocal size
            for index, one in waiting:
                outcomes[index] = outcome = await self._pass(self._inner(scene, one))
                if outcome is not _NOTHING:
                    size += size_of(outcome)
                    check_sum(size, scene.surroundings.max_output_bytes)
        await together([lane() for _ in range(min(self._settings.concurrency, len(passes)))])
        return [outcome for outcome in outcomes if outcome is not _NOTHING]

    async def _pass(self, inner: Scene) -> Any:
        if not inner.trace.sampled:
            return await self._run(inner)
        index = inner.scope["loop"]["index"]
        if index >= _TOLD_PASSES:
            return await self._summed_up(inner, index)
        with inner.surroundings.tracing.span(spans.loop_pass(index), inner.trace,
                                             attributes={spans.PASS: index}) as span:
            return await self._run(inner.inside_of(span))

    async def _summed_up(self, inner: Scene, index: int) -> Any:
        """A pass of many: the span of the loop says how long the longest of them took, and how many failed."""
        clock, told = inner.surroundings.clock, {} if inner.span is None else inner.span.attributes
        began_us = clock.elapsed_us()
        told[spans.PASSES_COUNT] = max(index + 1, int(told.get(spans.PASSES_COUNT, 0)))
        try:
            return await self._run(inner.untold())
        except WeirError:
            told[spans.PASSES_FAILED] = int(told.get(spans.PASSES_FAILED, 0)) + 1
            raise
        finally:
            told[spans.PASSES_LONGEST_US] = max(clock.elapsed_us() - began_us,
                                                int(told.get(spans.PASSES_LONGEST_US, 0)))

    async def _run(self, inner: Scene) -> Any:
        leap = await self._steps.walk(inner)
        if leap is None or isinstance(leap, Continued):
            # whoever else has a turn gets it between two passes
            await asyncio.sleep(0)
        if isinstance(leap, Continued):
            return _NOTHING
        if leap is not None:
            return leap
        return inner.last if self._collect is None else await rendered(self._collect, inner, "collect")

    async def _passes(self, scene: Scene) -> Iterator[Pass]:
        if self._while is not None:
            return ({"index": index} for index in range(self._settings.max_passes + 1))
        over = await rendered(self._over, scene, "over")
        try:
            check_loop_over(over)
        except BadValue as exc:
            raise WorkflowFailed(str(exc)) from exc
        if isinstance(over, dict):
            return ({"index": index, "key": key, "item": item} for index, (key, item) in enumerate(over.items()))
        return ({"index": index, "item": item} for index, item in enumerate(over if isinstance(over, list) else ()))

    def _inner(self, scene: Scene, one: Pass) -> Scene:
        return scene.inside(one["index"], loop={**one, "outer": scene.scope.get("loop")})

    def _bound(self, index: int) -> None:
        if index >= self._settings.max_passes:
            raise WorkflowFailed(f"the loop has more than {self._settings.max_passes} passes (max_passes)",
                                 kind="too-many-passes")
