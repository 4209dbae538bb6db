"""The `branch` step: one of two ways.

In:    a condition, two lists of steps.
Out:   `then` or `else`; what the steps inside say about the way on.
Never: I/O.
"""

from services.executor.scene import Scene
from services.executor.steps.base import ChoiceStep, Compiler
from shared.project.expressions import compile_condition
from shared.project.steps.control import BranchSettings


class BranchStep(ChoiceStep):
    """Runs one of two lists."""

    def __init__(self, settings: BranchSettings, compiler: Compiler) -> None:
        """Compiles both."""
        self._condition = compile_condition(settings.if_)
        super().__init__({"then": compiler.block(settings.then), "else": compiler.block(settings.else_)})

    def way(self, scene: Scene) -> str:
        """By the condition."""
        return "then" if self._condition.holds(scene.scope) else "else"
