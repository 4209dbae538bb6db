"""What the steps of one execution see and share.

In:    an execution record, the project's config values.
Out:   `Scene`: the scope of expressions, the time that is left, what was counted.
Never: a step kind.
"""

from dataclasses import dataclass, replace
from typing import Any

from aiohttp import ClientSession
from opentelemetry.trace import Span

from shared.clock import Clock
from shared.contracts.execution import ExecutionRecord
from shared.contracts.traceparent import TraceContext
from shared.errors import TimedOut
from shared.telemetry.tracing import Tracing, context_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all executions of a process share."""

    http: ClientSession
    clock: Clock
    tracing: Tracing
    max_response_bytes: int


@dataclass(slots=True, kw_only=True)
class Scene:
    """One execution. `scope` holds trigger, steps, config, execution; `tasks` counts the trigger and each step run."""

    surroundings: Surroundings
    execution: ExecutionRecord
    scope: dict[str, Any]
    trace: TraceContext
    tasks: int = 0

    def left_ms(self) -> int:
        """Milliseconds to the deadline. Raises TimedOut when there are none: no side effect may start then."""
        left = self.execution.deadline_ms - self.surroundings.clock.now_ms()
        if left <= 0:
            raise TimedOut("the deadline of the operation has passed")
        return left

    def under(self, span: Span) -> "Scene":
        """The same execution, seen from inside a span; counts and outputs are shared through the scope."""
        return replace(self, trace=context_of(span, self.trace) or self.trace)

    def keep(self, step_id: str, value: Any) -> None:
        """Make a step's output readable as `steps.<id>`."""
        self.scope["steps"][step_id] = value
