"""The `branch` step: one of two ways.

In:    a condition, two lists of steps.
Out:   `then` or `else`; what the steps inside say about the way on.
Never: I/O.
"""

from services.executor.scene import Scene
from services.executor.steps.base import ChoiceStep, Compiler, Walk
from shared.project.expressions import compile_condition
from shared.project.steps.control import BranchSettings


class BranchStep(ChoiceStep):
    """Runs one of two lists."""

    def __init__(self, settings: BranchSettings, compiler: Compiler) -> None:
        """Compiles both."""
        self._condition = compile_condition(settings.if_)
        self._ways = {True: ("then", compiler.block(settings.then)), False: ("else", compiler.block(settings.else_))}
        super().__init__(steps for _, steps in self._ways.values())

    def way(self, scene: Scene) -> tuple[str, Walk]:
        """By the condition."""
        return self._ways[self._condition.holds(scene.scope)]
