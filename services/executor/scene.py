"""What the steps of one execution see and share.

In:    an execution record, the project's config values.
Out:   `Scene`: the scope of expressions, the time that is left, what was counted.
Never: a step kind.
"""

import asyncio
import hashlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from services.executor.aside import Aside
from services.executor.endings import Endings
from services.executor.journal import Journal, Journals
from services.executor.neighbours import Neighbours
from services.executor.outside.client import OutsideClient
from services.executor.outside.credentials import Credentials
from services.executor.scripts import Scripts
from services.executor.stream import Stream
from shared.clock import Clock
from shared.contracts.execution import ExecutionRecord
from shared.contracts.traceparent import TraceContext
from shared.errors import TasksSpent, TimedOut, WeirError
from shared.kafka.outbox import Outbox
from shared.project.calls import MAX_CALL_DEPTH
from shared.project.steps.base import Retry
from shared.project.tracing import NO_RULE, TraceRule
from shared.runtime.tasks import Tasks
from shared.store.redis import Store
from shared.telemetry.span import Span
from shared.telemetry.tracing import Tracing

# when each step of a walk began: its id, microseconds of the clock that never goes back
Laps = list[tuple[str, int]]
# of a key of an effect: many take no longer ones, and neither does policy
LONGEST_KEY = 255
# outputs and errors of steps, tasks, how many laps
Mark = tuple[dict[str, Any], dict[str, Any], int, int]


class Parked(Exception):  # nothing is wrong: the execution goes on later
    """A durable execution waits for a time that is far away, and holds no worker until then."""

    harmless = True

    def __init__(self, until_ms: int) -> None:
        """Unix ms."""
        super().__init__(f"parked until {until_ms}")
        self.until_ms = until_ms


@dataclass(frozen=True, slots=True)
class StorageBounds:
    """Bytes of one value, items of one list."""

    max_bytes: int = 100_000
    max_items: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all executions of a process share."""

    http: OutsideClient
    credentials: Credentials
    clock: Clock
    tracing: Tracing
    tasks: Tasks
    journals: Journals
    store: Store
    storage: StorageBounds
    scripts: Scripts
    outbox: Outbox
    endings: Endings
    neighbours: Neighbours
    aside: Aside = field(default_factory=Aside)
    publish_topics: Sequence[str] = ()
    max_response_bytes: int
    max_output_bytes: int = 5_000_000
    park_after_ms: int = 60_000
    max_depth: int = 8
    max_call_depth: int = MAX_CALL_DEPTH


class Tally(Struct):
    """What one execution has run so far, in all its branches: the trigger is a task, and each step run.

    `at`: the step that was begun last. `main`: the task of the main walk, for as long as that runs.
    """

    limit: int = 10_000
    tasks: int = 1
    at: str | None = None
    retries: int = 0
    beside: set[asyncio.Task[None]] = set()
    main: asyncio.Task[Any] | None = None
    ended: WeirError | None = None

    def count(self) -> None:
        """One more task. Raises TasksSpent."""
        if self.tasks >= self.limit:
            raise TasksSpent(f"the execution has run {self.tasks} tasks, and its workflow allows no more (max_tasks)")
        self.tasks += 1

    async def settled(self) -> None:
        """Return once nothing runs beside the main walk: workflows that nobody waits for, and those they call."""
        while self.beside:
            await asyncio.wait(self.beside)

    def unwound(self) -> WeirError | None:
        """The error of `end`, where the main walk has come to its end by a cancellation; None where nobody asked.

        What comes after it has timeouts of its own, which a cancellation that is left would make useless.
        """
        task = asyncio.current_task()
        while task is not None and task.uncancel():
            pass
        return self.ended

    def end(self, error: WeirError) -> None:
        """End the execution, wherever it is, with an error that no step of it handles.

        Where the main walk is over its answer stands, and is told: what still runs beside it ends.
        """
        if self.main is not None:
            self.ended = error
            self.main.cancel()
        for task in self.beside:
            task.cancel()


class Scene(Struct, kw_only=True):
    """One execution, seen from one place in its workflow.

    `scope`: what expressions see {trigger, steps, errors, loop, config, execution}; `last`: the output of the last step
    that ran here. `journal`, of durable executions alone; `path`: ids of the steps around this place, passes, and tries
    from the second on, as in `lines#2[3]/order/`, and catches, as in `lines!/sorry/`; only durable executions keep it.
    `stream`, of operations with events.
    `parks`: whether a long delay here may end this walk, to be taken up later. `handled`: whether a step around this
    place handles errors. `tries`, of durable executions alone: what steps around this place allow that hold others and
    are tried again, and in which try each is. `mask`: whether what is drawn at this place is noted sealed: its step, or
    one around it, says so. `calls`: how many calls of workflows stand around this place.

    `began_ms`: when this walk began; `accepted_ms`: when its execution came, however often that was put aside since.
    `span`: the one around this place, of a sampled execution. `laps`: when each step of the main walk began, there
    alone. `rule`, `workflow`, `route`: what the plan says of the traces, the workflow and the path of the operation.
    """

    surroundings: Surroundings
    execution: ExecutionRecord
    scope: dict[str, Any]
    trace: TraceContext
    tally: Tally
    began_ms: int = 0
    accepted_ms: int = 0
    last: Any = None
    journal: Journal | None = None
    path: str = ""
    stream: Stream | None = None
    parks: bool = False
    handled: bool = False
    tries: tuple[tuple[Retry, int], ...] = ()
    mask: bool = False
    calls: int = 0
    span: Span | None = None
    laps: Laps | None = None
    rule: TraceRule = NO_RULE
    workflow: str = ""
    route: str = ""

    def begin_anew(self, scope: dict[str, Any]) -> None:
        """As if nothing had run; a journal says what had."""
        self.scope, self.last, self.journal, self.tally.tasks = scope, None, None, 1

    def mark(self) -> Mark:
        """What is known here, and counted."""
        scope, tally = self.scope, self.tally
        return dict(scope["steps"]), dict(scope["errors"]), tally.tasks, len(self.laps or ())

    def back_to(self, mark: Mark) -> None:
        """As if what ran since had not."""
        steps, errors, self.tally.tasks, laps = mark
        for name, before in (("steps", steps), ("errors", errors)):
            # others share them
            self.scope[name].clear()
            self.scope[name].update(before)
        if self.laps is not None:
            del self.laps[laps:]

    def left_ms(self) -> int:
        """Milliseconds to the deadline. Raises TimedOut when there are none: no side effect may start then."""
        left = self.execution.deadline_ms - self.surroundings.clock.now_ms()
        if left <= 0:
            raise TimedOut("the deadline of the operation has passed")
        return left

    def under(self, span: Span | None, step_id: str, *, handled: bool, mask: bool) -> "Scene":
        """The same place, seen from inside a step and its span; outputs and counts are shared."""
        if span is None and self.journal is None:
            return self
        return replace(self, trace=self.trace if span is None else span.context, span=span or self.span, laps=None,
                       path=f"{self.path}{step_id}/", handled=self.handled or handled,
                       mask=self.mask or mask)

    def inside_of(self, span: Span | None) -> "Scene":
        """The same place, seen from inside a span; all is shared."""
        return self if span is None else replace(self, trace=span.context, span=span)

    def untold(self) -> "Scene":
        """The same place, and no span is made from here on."""
        trace = TraceContext(self.trace.trace_id, self.trace.span_id, sampled=False, random=self.trace.random)
        return replace(self, trace=trace, span=None)

    def beside(self) -> "Scene":
        """A place of its own beside this one, which shares all outputs."""
        return replace(self, last=None, laps=None)

    def inside(self, index: int, **more: Any) -> "Scene":
        """A pass inside this step: it reads what is known here, and what it adds stays its own."""
        scope = {**self.scope, "steps": dict(self.scope["steps"]), "errors": dict(self.scope["errors"]), **more}
        return replace(self, scope=scope, last=None, laps=None, path=f"{self.path[:-1]}[{index}]/" if self.path else "")

    def elsewhere(self, trigger: dict[str, Any]) -> "Scene":
        """Another workflow of the same execution: it sees its trigger, and no step of this one."""
        scope = {"trigger": trigger, "steps": {}, "errors": {}, "config": self.scope["config"],
                 "execution": self.scope["execution"]}
        return replace(self, scope=scope, last=None, laps=None, calls=self.calls + 1)

    def keep(self, step_id: str, value: Any) -> None:
        """Make a step's output readable as `steps.<id>`."""
        self.scope["steps"][step_id] = self.last = value

    @property
    def effect_key(self) -> str | None:
        """By which an outside system knows an effect of this step again; of durable executions."""
        if self.journal is None:
            return None
        key = f"{self.execution.request_id}/{self.path[:-1]}"
        return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work that the answer does not wait for, and the execution does."""
        task = self.surroundings.tasks.spawn(work, name)
        self.tally.beside.add(task)
        task.add_done_callback(self.tally.beside.discard)
