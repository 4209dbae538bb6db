"""The `emit` step: an event for whoever called.

In:    a name and data, with expressions.
Out:   null, once the event is on its way.
Never: an event to a caller that wants no answer.
"""

from services.executor.scene import Scene
from services.executor.seen import rendered
from services.executor.steps.base import Compiler
from shared.project.expressions import compile_value
from shared.project.steps.work import EmitSettings


class EmitStep:
    """The stream numbers it."""

    effect = True

    def __init__(self, settings: EmitSettings, _: Compiler) -> None:
        """Compiles the data once."""
        self._event, self._data = settings.event, compile_value(settings.data)

    async def run(self, scene: Scene) -> None:
        """Raises WorkflowFailed: event-too-large, stream-ended."""
        data = await rendered(self._data, scene)
        if scene.stream is not None:
            await scene.stream.emit(self._event, data)
