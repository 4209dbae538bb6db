"""What a step is to the walk over a plan.

In:    nothing.
Out:   the `CompiledStep` protocol, what a step may say about the way on, and what compiles steps inside steps.
Never: a step kind.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.executor.scene import Laps, Scene
from services.executor.seen import computed, once
from shared.contracts.traceparent import TraceContext
from shared.names import headers as H
from shared.project.steps.base import Step


class Leap:
    """A step's word that the list it stands in goes no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied(Leap):
    """The workflow has its answer; `name` is None where its status says which one is meant."""

    name: str | None
    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


class Stopped(Leap):
    """The workflow ends, and says nothing."""


class Broken(Leap):
    """The loop ends."""


class Continued(Leap):
    """The pass ends."""


class CompiledStep(Protocol):
    """A step with its expressions compiled; runs for many executions at once and keeps no state of any.

    One that has a true `effect` changes something outside: a durable execution is safe before and after it. One that
    has a true `holds` runs other steps, and is itself run again after a crash, to find what they gave. One that has a
    false `waits` does not wait for anything: no clock has to watch it. One that has a true `at_once` gives nobody else
    a turn either: it is a `PlainStep`, or has its `now`.
    """

    async def run(self, scene: Scene) -> Any | Leap:
        """Do the step; returns its output. Raises a `WeirError` of the `Failed` branch."""


class PlainStep(ABC):
    """A step that is done at once: it waits for nothing, gives nobody else a turn, and so needs no coroutine."""

    waits = False
    at_once = True

    @abstractmethod
    def now(self, scene: Scene) -> Any | Leap:
        """Do the step; as `run`."""

    async def run(self, scene: Scene) -> Any | Leap:
        """As every step."""
        return await computed(self.now, scene)


class Walk(Protocol):
    """A list of steps, compiled. `at_once`: whether all of them are done at once."""

    at_once: bool

    def now(self, scene: Scene, laps: Laps | None = None) -> Leap | None:
        """The same as `walk`, of steps that are done at once; unsampled, without a journal."""

    async def walk(self, scene: Scene) -> Leap | None:
        """Run them in order, to the end or to a leap; `scene.last` is the output of the last one that ran."""


class ChoiceStep(ABC):
    """A step that runs one of several lists of steps, and gives the name of the way that it took."""

    holds = True
    waits = False

    def __init__(self, ways: Mapping[str | None, Walk]) -> None:
        """All lists that there are, by name; None: the one for all else, which may stand beside a case `default`."""
        self._ways = ways
        self.at_once = all(steps.at_once for steps in ways.values())

    @abstractmethod
    def way(self, scene: Scene) -> str | None:
        """The way to take. Raises WorkflowFailed."""

    async def run(self, scene: Scene) -> str | Leap:
        """The way that was taken."""
        journal = scene.journal
        way = await (computed(self.way, scene) if journal is None else once(self.way, scene, journal, "way"))
        return await self._ways[way].walk(scene.beside()) or _named(way)

    def now(self, scene: Scene) -> str | Leap:
        """As `run`; what ran last inside it is over before anybody looks."""
        way = self.way(scene)
        return self._ways[way].now(scene) or _named(way)


def _named(way: str | None) -> str:
    return "default" if way is None else way


@dataclass(frozen=True, slots=True)
class Callee:
    """Another workflow, as `call` sees it: what goes in, what comes out; `statuses`: of its replies, by name."""

    name: str
    walk: Walk
    misfits_in: Callable[[Any], str]
    misfits_out: Callable[[Any], str]
    statuses: Mapping[str, int]


class Compiler(Protocol):
    """What a step may need when it is compiled: to hold steps, to call workflows, to know where it stands."""

    workflow: str

    def block(self, steps: Sequence[Step]) -> Walk:
        """Compile steps."""

    def callee(self, name: str) -> Callable[[], Callee]:
        """Another workflow; it may not be compiled yet when this one is."""


def propagated(scene: Scene, trace: TraceContext) -> dict[str, str]:
    """Headers by which whoever is called goes on with the trace."""
    execution = scene.execution
    found = {H.TRACEPARENT: str(trace), H.TRACESTATE: execution.tracestate, H.BAGGAGE: execution.baggage}
    return {name: value for name, value in found.items() if value is not None}
