"""Steps of a kind that somebody else has written.

In:    a connector, its settings with expressions.
Out:   what it returns, as JSON.
Never: an error of theirs that is none of ours: whatever they raise fails the step alone; a value that they share with
       the workflow, or with another run.
"""

import asyncio
import logging
from typing import Any

import orjson

from services.executor.scene import Scene
from services.executor.seen import rendered
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
        settings = _apart(await rendered(self._settings, scene), "the settings are")
        try:
            given = await self._connector.run(settings, call)
        except ConnectorFailed as exc:
            raise WorkflowFailed(str(exc), kind=exc.kind, status=_status_of(exc)) from exc
        except WeirError:
            raise
        except asyncio.CancelledError as exc:
            if _is_cancelled():
                raise
            raise self._broken(scene, exc) from exc
        except (Exception, SystemExit) as exc:
            raise self._broken(scene, exc) from exc
        return _apart(given, "what the step gives is")

    def _broken(self, scene: Scene, exc: BaseException) -> WorkflowFailed:
        log.error("connector %s", type(self._connector).__name__, exc_info=exc, extra={
            "action": actions.REQUEST_FAILED, "request_id": scene.execution.request_id})
        return WorkflowFailed(f"the connector failed ({type(exc).__name__}); the executor's log has more",
                              kind="connector-failed")


def connector_of(name: str, kind: type[Connector]) -> Connector:
    """The one of this process. One that cannot be made fails its steps, and no other."""
    try:
        return kind()
    except (Exception, SystemExit):
        log.exception("connector %s cannot be made", name, extra={"action": actions.CONFIG_UNREADABLE})
        return _Unmade()


class _Unmade(Connector):
    """Stands for one that cannot be made."""

    async def run(self, settings: Any, call: Call) -> Any:
        raise ConnectorFailed("the connector does not start; the executor's log has more")


def _apart(value: Any, what: str) -> Any:
    """The value as whoever reads it later reads it, and nobody else's: a time is a text, a tuple an array."""
    try:
        return orjson.loads(orjson.dumps(value))
    except (orjson.JSONEncodeError, orjson.JSONDecodeError) as exc:
        raise WorkflowFailed(f"{what} no JSON: {exc}", kind="output-unusable") from None


def _status_of(exc: ConnectorFailed) -> int:
    """That of an answer that tells a failure, whatever they took for one."""
    status: object = exc.status
    return status if type(status) is int and 400 <= status <= 599 else 500


def _is_cancelled() -> bool:
    """Whether this execution is to end; otherwise it was something of the connector's own that did."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
