"""The `switch` step: one of many ways, by a value.

In:    a value, lists of steps by name.
Out:   the case that was taken; what the steps inside say about the way on.
Never: I/O.
"""

from services.executor.scene import Scene
from services.executor.steps.base import Compiler, Leap, Walk
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
        self.at_once = all(steps.at_once for steps in (*self._cases.values(), self._default))

    async def run(self, scene: Scene) -> str | Leap:
        """The case that was taken."""
        name, steps = self._way(scene)
        return await steps.walk(scene.beside()) or name

    def now(self, scene: Scene) -> str | Leap:
        """As `run`; what ran last inside it is over before anybody looks."""
        name, steps = self._way(scene)
        return steps.now(scene) or name

    def _way(self, scene: Scene) -> tuple[str, Walk]:
        name = as_text(self._value.render(scene.scope))
        steps = self._cases.get(name)
        return ("default", self._default) if steps is None else (name, steps)
