"""The `switch` step: one of many ways, by a value.

In:    a value, lists of steps by name.
Out:   the case that was taken; what the steps inside say about the way on.
Never: I/O.
"""

from services.executor.scene import Scene
from services.executor.steps.base import ChoiceStep, Compiler, Walk
from shared.project.expressions import as_text, compile_value
from shared.project.steps.control import SwitchSettings


class SwitchStep(ChoiceStep):
    """Runs one of many lists; without a fitting case and without a default, none."""

    def __init__(self, settings: SwitchSettings, compiler: Compiler) -> None:
        """Compiles all."""
        self._value = compile_value(settings.value)
        self._cases = {name: compiler.block(steps) for name, steps in settings.cases.items()}
        self._default = compiler.block(settings.default or ())
        super().__init__((*self._cases.values(), self._default))

    def way(self, scene: Scene) -> tuple[str, Walk]:
        """By the value."""
        name = as_text(self._value.render(scene.scope))
        steps = self._cases.get(name)
        return ("default", self._default) if steps is None else (name, steps)
