"""What a step is to the walk over a plan.

In:    nothing.
Out:   the `CompiledStep` protocol and `Replied`.
Never: a step kind.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

from services.executor.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied:
    """A step's word that the workflow has its answer: the walk ends here."""

    name: str
    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


class CompiledStep(Protocol):
    """A step with its expressions compiled; runs for many executions at once and keeps no state of any."""

    async def run(self, scene: Scene) -> Any | Replied:
        """Do the step; returns its output. Raises a `WeirError` of the `Failed` branch."""
