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
        cases: dict[str | None, Walk] = {name: compiler.block(steps) for name, steps in settings.cases.items()}
        super().__init__({**cases, None: compiler.block(settings.default or ())})

    def way(self, scene: Scene) -> str | None:
        """By the value."""
        name = as_text(self._value.render(scene.scope))
        return name if name in self._ways else None
