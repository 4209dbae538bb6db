"""Steps of a kind that somebody else has written.

In:    a connector, its settings with expressions.
Out:   what it returns.
Never: an error of theirs that is none of ours: whatever they raise fails the step alone.
"""

import logging
from typing import Any

from services.executor.scene import Scene
from services.executor.steps.base import Compiler
from shared.errors import WeirError, WorkflowFailed
from shared.names import actions
from shared.project.connectors import Call, Connector, ConnectorFailed
from shared.project.expressions import compile_value
from shared.project.steps.base import StepSettings

log = logging.getLogger(__name__)


class ConnectorStep:
    """Whether it has an effect outside is not known, so it is taken for one."""

    effect = True

    def __init__(self, connector: Connector, settings: StepSettings, _: Compiler) -> None:
        """Compiles the settings."""
        self._connector, self._settings = connector, compile_value(settings.model_dump(mode="json", by_alias=True))

    async def run(self, scene: Scene) -> Any:
        """Its value. Raises WorkflowFailed, of the kind that the connector says."""
        execution = scene.execution
        call = Call(execution.request_id, execution.project, scene.left_ms(), scene.effect_key)
        try:
            return await self._connector.run(self._settings.render(scene.scope), call)
        except ConnectorFailed as exc:
            raise WorkflowFailed(str(exc), kind=exc.kind, status=exc.status) from exc
        except WeirError:
            raise
        except Exception as exc:
            log.exception("connector %s", type(self._connector).__name__, extra={
                "action": actions.REQUEST_FAILED, "request_id": execution.request_id})
            raise WorkflowFailed(f"the connector failed ({type(exc).__name__}); the executor's log has more",
                                 kind="connector-failed") from exc
