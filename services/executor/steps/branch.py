"""The `branch` step: one of two ways.

In:    a condition, two lists of steps.
Out:   `then` or `else`; what the steps inside say about the way on.
Never: I/O.
"""

from services.executor.scene import Scene
from services.executor.steps.base import Compiler, Leap, Walk
from shared.project.expressions import compile_condition
from shared.project.steps.control import BranchSettings


class BranchStep:
    """Runs one of two lists."""

    holds = True
    waits = False

    def __init__(self, settings: BranchSettings, compiler: Compiler) -> None:
        """Compiles both."""
        self._condition = compile_condition(settings.if_)
        self._ways = {True: ("then", compiler.block(settings.then)), False: ("else", compiler.block(settings.else_))}
        self.at_once = all(steps.at_once for _, steps in self._ways.values())

    async def run(self, scene: Scene) -> str | Leap:
        """The way that was taken."""
        name, steps = self._way(scene)
        return await steps.walk(scene.beside()) or name

    def now(self, scene: Scene) -> str | Leap:
        """As `run`; what ran last inside it is over before anybody looks."""
        name, steps = self._way(scene)
        return steps.now(scene) or name

    def _way(self, scene: Scene) -> tuple[str, Walk]:
        return self._ways[self._condition.holds(scene.scope)]
