"""The steps `break`, `continue`, `stop` and `fail`: where the walk goes no further.

In:    nothing; `fail` has a message with expressions.
Out:   a leap; `fail` raises.
Never: who stops where; loops and the walk know that.
"""

from services.executor.scene import Scene
from services.executor.steps.base import Broken, Compiler, Continued, Leap, PlainStep, Stopped
from shared.errors import WorkflowFailed
from shared.project.expressions import as_text, compile_value
from shared.project.steps.base import StepSettings
from shared.project.steps.control import BreakSettings, ContinueSettings, FailSettings

_LEAPS: dict[type[StepSettings], Leap] = {BreakSettings: Broken(), ContinueSettings: Continued()}


class LeapStep(PlainStep):
    """Says what its kind says, always."""

    def __init__(self, settings: StepSettings, _: Compiler) -> None:
        """By the kind of its settings."""
        self._leap = _LEAPS.get(type(settings), Stopped())

    def now(self, _: Scene) -> Leap:
        """The leap."""
        return self._leap


class FailStep(PlainStep):
    """An error, on purpose."""

    def __init__(self, settings: FailSettings, _: Compiler) -> None:
        """Compiles the message."""
        self._settings, self._message = settings, compile_value(settings.message)

    def now(self, scene: Scene) -> None:
        """Raises WorkflowFailed, with the status and the kind that its owner chose."""
        raise WorkflowFailed(as_text(self._message.render(scene.scope)), status=self._settings.status,
                             kind=self._settings.error)
