"""The `script` step: a computation in JavaScript.

In:    code, an input with expressions.
Out:   what the code returns.
Never: I/O, of this step or of the code.
"""

from typing import Any

from services.executor.scene import Scene
from services.executor.seen import rendered
from services.executor.steps.base import Compiler
from shared.project.expressions import compile_value
from shared.project.steps.work import ScriptSettings


class ScriptStep:
    """The code is not compiled here: an engine lives as long as one run."""

    def __init__(self, settings: ScriptSettings, _: Compiler) -> None:
        """Compiles the input."""
        self._code, self._input = settings.code, compile_value(settings.input)

    async def run(self, scene: Scene) -> Any:
        """Its value. Raises WorkflowFailed."""
        return await scene.surroundings.scripts.run(self._code, await rendered(self._input, scene),
                                                     scene.execution.project)
