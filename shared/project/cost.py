"""What a workflow costs in tasks, before it runs.

In:    a project.
Out:   the least and the most tasks of a workflow that fails nowhere unhandled.
Never: a number of passes: that is known when a loop begins.

The trigger is one task, each step that runs is one; skipped steps, retries and refused calls are free. Steps inside one
that is tried again run again, and count again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from shared.project.calls import called_first, calls_in
from shared.project.model import Project
from shared.project.steps.base import Step
from shared.project.steps.control import (
    BranchSettings,
    BreakSettings,
    CallSettings,
    ContinueSettings,
    FailSettings,
    LoopSettings,
    ParallelSettings,
    ReplySettings,
    StopSettings,
    SwitchSettings,
)

# the last whole number that all readers of JSON and the store's scripts agree on: larger costs stand there
CEILING = 2**53 - 1
_ENDS = (ReplySettings, FailSettings, StopSettings, BreakSettings, ContinueSettings)


@dataclass(frozen=True, slots=True)
class Cost:
    """Tasks. `most` is None where a loop decides."""

    least: int
    most: int | None

    def __str__(self) -> str:
        """For people: `3 tasks`, `2 to 5 tasks`, `at least 3 tasks, more with each pass of its loops`."""
        if self.most is None:
            return f"at least {_tasks(self.least)}, more with each pass of its loops"
        return _tasks(self.least) if self.least == self.most else f"{_number(self.least)} to {_tasks(self.most)}"

    def and_then(self, other: "Cost") -> "Cost":
        """Both, one after the other."""
        return Cost(min(self.least + other.least, CEILING),
                    None if self.most is None or other.most is None else min(self.most + other.most, CEILING))

    def either(self, other: "Cost") -> "Cost":
        """One of the two."""
        return Cost(min(self.least, other.least),
                    None if self.most is None or other.most is None else max(self.most, other.most))


@dataclass(frozen=True, slots=True)
class _Ways:
    """What steps cost when they lead on to what follows, and when they end it; None: no way does."""

    on: Cost | None
    end: Cost | None = None

    def after(self, cost: Cost) -> "_Ways":
        return _Ways(*(None if way is None else cost.and_then(way) for way in (self.on, self.end)))

    def either(self, other: "_Ways") -> "_Ways":
        return _Ways(_either(self.on, other.on), _either(self.end, other.end))

    def then(self, following: "_Ways") -> "_Ways":
        if self.on is None:
            return self
        later = following.after(self.on)
        return _Ways(later.on, _either(self.end, later.end))


_NOTHING, _ONE = Cost(0, 0), Cost(1, 1)
# of whole workflows by name
Costs = Mapping[str, Cost]


def cost_of(project: Project, workflow: str) -> Cost:
    """The trigger and the steps."""
    costs: dict[str, Cost] = {}
    for name in called_first([workflow], lambda name: [
            called for _, called in calls_in(project.workflows[name].steps)]):
        costs[name] = _whole(project.workflows[name].steps, costs)
    return _ONE.and_then(costs[workflow])


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{_number(count)} tasks"


def _number(count: int) -> str:
    return str(count) if count < CEILING else f"more than {CEILING - 1}"


def _either(one: Cost | None, other: Cost | None) -> Cost | None:
    return one.either(other) if one is not None and other is not None else one or other


def _whole(steps: Sequence[Step], costs: Costs) -> Cost:
    ways = _list(steps, costs)
    return _either(ways.on, ways.end) or _NOTHING


def _list(steps: Iterable[Step], costs: Costs) -> _Ways:
    return reduce(lambda ways, step: ways.then(_step(step, costs)), steps, _Ways(_NOTHING))


def _step(step: Step, costs: Costs) -> _Ways:
    ways = _tried(step, _run(step, costs)).after(_ONE)
    if step.handles != "fail":
        # it may fail at its beginning, at its end, or anywhere between
        whole = _either(ways.on, ways.end) or _ONE
        handled = _list(step.catch, costs).after(Cost(1, whole.most))
        ways = handled if isinstance(step.settings, FailSettings) else ways.either(handled)
    return ways if step.if_ is None else ways.either(_Ways(_NOTHING))


def _tried(step: Step, ways: _Ways) -> _Ways:
    """With all tries: each runs the steps inside again, at the earliest fails before the first of them."""
    whole = _either(ways.on, ways.end)
    if step.retry is None or whole is None:
        return ways
    return reduce(lambda tried, _: tried.after(Cost(0, whole.most)), range(step.retry.attempts - 1), ways)


def _run(step: Step, costs: Costs) -> _Ways:
    """Without the step itself."""
    settings = step.settings
    if isinstance(settings, _ENDS):
        return _Ways(None, _NOTHING)
    if isinstance(settings, BranchSettings):
        return _list(settings.then, costs).either(_list(settings.else_, costs))
    if isinstance(settings, SwitchSettings):
        ways = [_list(case, costs) for case in (*settings.cases.values(), settings.default or ())]
        return reduce(_Ways.either, ways)
    if isinstance(settings, LoopSettings):
        # a reply inside ends the workflow, at the earliest in the first pass
        leaves = _leaves(settings.steps)
        return _Ways(Cost(0, None), Cost(1, None) if leaves else None)
    if isinstance(settings, ParallelSettings):
        return _Ways(reduce(Cost.and_then, (_whole(branch, costs) for branch in settings.branches.values())))
    if isinstance(settings, CallSettings):
        called = costs[settings.workflow]
        # one that nobody waits for may be ended by the deadline
        return _Ways(called if settings.wait else Cost(0, called.most))
    return _Ways(_NOTHING)


def _leaves(steps: Sequence[Step]) -> bool:
    """Whether a step inside may end more than the pass."""
    return any(isinstance(step.settings, ReplySettings | StopSettings | FailSettings)
               or any(_leaves(block.steps) for block in step.blocks()) for step in steps)
