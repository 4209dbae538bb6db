"""The `transform` step: a value, computed.

In:    any JSON with expressions in it.
Out:   the rendered value.
Never: I/O.
"""

from typing import Any

from services.executor.scene import Scene
from services.executor.steps.base import Compiler, PlainStep
from shared.project.expressions import compile_value
from shared.project.steps.work import TransformSettings


class TransformStep(PlainStep):
    """Renders its value against the scope."""

    def __init__(self, settings: TransformSettings, _: Compiler) -> None:
        """Compiles the expressions once."""
        self._value = compile_value(settings.value)

    def now(self, scene: Scene) -> Any:
        """The rendered value. Raises WorkflowFailed."""
        return self._value.render(scene.scope)
