"""Kinds of steps that others write.

In:    classes that installed packages name under the entry point `weir.connectors`.
Out:   `Connector`, which they subclass, `Call`, `ConnectorFailed`; `connectors()`, those that are installed.
Never: a package that does not load taking Weir down: it is left out, and the log says why.

    [project.entry-points."weir.connectors"]
    csv = "weir_csv:CsvConnector"

The name of the entry point is the key by which steps say it. All services read projects, so the package is installed
for all of them; the executor alone runs it.
"""

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar

from shared.names import actions
from shared.project.steps.base import Step, StepSettings

log = logging.getLogger(__name__)
GROUP = "weir.connectors"
# what stands around any step: as the name of a kind it would make two kinds of each step that has it
_TAKEN = frozenset(field.alias or name for name, field in Step.model_fields.items())


class ConnectorFailed(Exception):
    """What a connector raises when it cannot do its work; `kind` and `status` are those of the step's error."""

    def __init__(self, message: str, *, kind: str = "connector-failed", status: int = 500) -> None:
        """`message` is read by the caller: no secret, no address. `status`: 400 to 599; any other is 500."""
        super().__init__(message)
        self.kind, self.status = kind, status


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a step. `key`: by which an outside system knows this effect again, in durable executions."""

    execution: str
    project: str
    left_ms: int
    key: str | None


class Connector(ABC):
    """One kind of step. One instance serves all executions of a process, many at once."""

    Settings: ClassVar[type[StepSettings]]

    @abstractmethod
    async def run(self, settings: Mapping[str, Any], call: Call) -> Any:
        """Do the step. `settings`: what the workflow says, expressions evaluated, its own to change. Returns JSON.

        Must not block the event loop. Raises ConnectorFailed.
        """


@lru_cache(maxsize=1)
def connectors() -> dict[str, type[Connector]]:
    """Those that are installed, by name."""
    return {point.name: kind for point in entry_points(group=GROUP) if (kind := _load(point)) is not None}


def _load(point: EntryPoint) -> type[Connector] | None:
    try:
        if point.name in _TAKEN:
            raise ValueError("every step may have that key")
        kind = point.load()
        if issubclass(kind, Connector) and issubclass(kind.Settings, StepSettings) and not inspect.isabstract(kind):
            return kind  # type: ignore[no-any-return]  # checked a line above
        raise TypeError("it is no Connector with Settings and a `run`")
    # a module that is a program, too, may end it
    except (Exception, SystemExit) as exc:
        log.error("connector %s (%s) is left out: %r", point.name, point.value, exc,
                  extra={"action": actions.CONFIG_UNREADABLE})
        return None
