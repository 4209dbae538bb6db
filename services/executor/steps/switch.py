"""The `switch` step: one of many ways, by a value.

In:    a value, lists of steps by name.
Out:   the case that was taken; what the steps inside say about the way on.
Never: I/O.
"""

from services.executor.scene import Scene
from services.executor.steps.base import Compiler, Leap
from shared.project.expressions import as_text, compile_value
from shared.project.steps.control import SwitchSettings


class SwitchStep:
    """Runs one of many lists; without a fitting case and without a default, none."""

    holds = True
    waits = False

    def __init__(self, settings: SwitchSettings, compiler: Compiler) -> None:
        """Compiles all."""
        self._value = compile_value(settings.value)
        self._cases = {name: compiler.block(steps) for name, steps in settings.cases.items()}
        self._default = compiler.block(settings.default or ())

    async def run(self, scene: Scene) -> str | Leap:
        """The case that was taken."""
        name = as_text(self._value.render(scene.scope))
        steps = self._cases.get(name)
        if steps is None:
            name, steps = "default", self._default
        return await steps.walk(scene.beside()) or name
