"""The `reply` step: the workflow's answer.

In:    a reply name, or a status; headers and body with expressions.
Out:   `Replied`, which ends the walk.
Never: a header whose value is null; a check against the schemas; the walk does that for every kind of reply.
"""

from typing import Any

from services.executor.scene import Scene
from services.executor.seen import rendered
from services.executor.steps.base import Compiler, PlainStep, Replied
from shared.project.expressions import as_text, compile_value
from shared.project.steps.control import ReplySettings


class ReplyStep(PlainStep):
    """Renders headers and body."""

    def __init__(self, settings: ReplySettings, _: Compiler) -> None:
        """Compiles the expressions once."""
        self._name, self._status = settings.name, settings.status
        self._headers = {name: compile_value(value) for name, value in settings.headers.items()}
        self._body = compile_value(settings.body)

    def now(self, scene: Scene) -> Replied:
        """The answer. Raises WorkflowFailed."""
        headers = {name: value.render(scene.scope) for name, value in self._headers.items()}
        return self._replied(headers, self._body.render(scene.scope))

    async def run(self, scene: Scene) -> Replied:
        """The same again, where a durable execution is taken up again."""
        headers = {name: await rendered(value, scene, f"headers/{name}") for name, value in self._headers.items()}
        return self._replied(headers, await rendered(self._body, scene, "body"))

    def _replied(self, headers: dict[str, Any], body: Any) -> Replied:
        return Replied(name=self._name, status=self._status, body=body,
                       headers={name: as_text(value) for name, value in headers.items() if value is not None})
