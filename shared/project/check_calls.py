"""Rules of workflows that call each other: who is there, what fits, who hears events; no circles, no endless chains.

In:    workflows that are well formed by themselves, with their sources; the operations that use them.
Out:   problems with their places.
Never: a deep recursion; YAML, files; what stands inside one workflow (`check_workflows.py`).
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache

from shared.project.calls import MAX_CALL_DEPTH, called_first, calls_in, reply_statuses, rings
from shared.project.expressions import BadExpression, compile_value
from shared.project.inputs import ValueValidator
from shared.project.model import Operation, Schema, Workflow
from shared.project.places import Problem, Source
from shared.project.schemas import BadSchema
from shared.project.steps.base import Path, steps_in
from shared.project.steps.control import CallSettings, ReplySettings
from shared.project.steps.work import EmitSettings

Workflows = Mapping[str, tuple[Workflow, Source]]
# by workflow: where it calls which other; the others alone
Calls = Mapping[str, Sequence[tuple[Path, str]]]
Called = Mapping[str, Sequence[str]]
# names of a row that a person reads
_TOLD = 10


def check_calls(workflows: Workflows, operations: Sequence[Operation], known: set[str],
                used: Collection[str] = ()) -> Iterator[Problem]:
    """All problems. `known`: names of all workflow files, the malformed ones too; `used`: those that malformed
    operations name.
    """
    # as large as a schema may be, it is read once, however many call its workflow
    taken = cache(lambda name: _Taken(workflows[name][0].input))
    for workflow, source in workflows.values():
        yield from _calls(workflow, source, known, workflows, taken)
    calls = {name: [(path, called) for path, called in calls_in(workflow.steps) if called in workflows]
             for name, (workflow, _) in workflows.items()}
    called = {name: [other for _, other in made] for name, made in calls.items()}
    yield from _events(workflows, operations, called)
    if not used:
        # nobody knows what a malformed one declares
        yield from _replies(workflows, operations, called)
    circles = list(_circles(workflows, calls, called))
    # only where there are none has a chain an end
    yield from circles or _too_deep(workflows, calls, called)


def given_by_calls(workflow: Workflow, workflows: Workflows) -> dict[str, tuple[str, Schema]]:
    """By step that calls: what to say of a member that it never gives, and the schema of what it gives, where nothing
    else can come of it."""
    calls = [(step, step.settings) for _, step in steps_in(workflow.steps) if isinstance(step.settings, CallSettings)]
    return {step.id: (f"the output of workflow {settings.workflow!r} has no such member", output)
            for step, settings in calls
            if settings.wait and step.fallback is None and settings.workflow in workflows
            and (output := workflows[settings.workflow][0].output) is not None}


def never_given(read: object, schema: object, at: str) -> Iterator[str]:
    """Members that are read of a value, and that its schema rules out: closed objects alone do that."""
    if not isinstance(read, Mapping) or not isinstance(schema, Mapping) or schema.get("type") != "object":
        return
    known = schema.get("properties", {})
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    for name, more in read.items() if isinstance(known, Mapping) else ():
        if name in known:
            yield from never_given(more, known[name], f"{at}.{name}")
        elif closed and more != {}:
            yield f"{at}.{name}"


class _Taken:
    """What a workflow takes. `validator` is None where the schema is none, which is told elsewhere."""

    def __init__(self, schema: Schema | None) -> None:
        self.schema = schema
        try:
            self.validator: ValueValidator | None = ValueValidator(schema)
        except BadSchema:
            self.validator = None


def _calls(workflow: Workflow, source: Source, known: set[str], workflows: Workflows,
           taken: Callable[[str], _Taken]) -> Iterator[Problem]:
    for path, step in steps_in(workflow.steps):
        if not isinstance(step.settings, CallSettings):
            continue
        name = step.settings.workflow
        if name not in known:
            yield source.problem((*path, step.kind, "workflow"), "dangling",
                                 f"there is no workflow {name!r}; expected workflows/{name}.yaml")
        elif name in workflows and (misfit := _misfit(step.settings.input, taken(name))):
            yield source.problem((*path, step.kind, "input"), "misfit",
                                 f"this does not fit the input of workflow {name!r}: {misfit}")


def _misfit(value: object, taken: _Taken) -> str:
    """What is wrong with the input of a call, as far as that is known before it runs; empty when nothing is."""
    schema = taken.schema
    if taken.validator is None:
        return ""
    try:
        if compile_value(value).constant:
            return taken.validator.misfits(value)
    except BadExpression:
        # told elsewhere
        return ""
    if not isinstance(schema, dict) or not isinstance(value, Mapping):
        return ""
    missing = [name for name in schema.get("required", ()) if name not in value]
    unknown = [name for name in value if name not in schema.get("properties", {})
               ] if schema.get("additionalProperties") is False and "patternProperties" not in schema else []
    return "; ".join([*(f"{name!r} is missing" for name in missing),
                      *(f"{name!r} is none of its members" for name in unknown)])


def _replies(workflows: Workflows, operations: Sequence[Operation], called: Called) -> Iterator[Problem]:
    """A reply by its name alone, in a workflow that only others call, has a status that some operation gives it."""
    ran, statuses_of = {operation.workflow for operation in operations}, reply_statuses(operations)
    for name in {other for others in called.values() for other in others} - ran:
        workflow, source = workflows[name]
        statuses = statuses_of(name)
        for path, step in steps_in(workflow.steps):
            reply = step.settings
            if isinstance(reply, ReplySettings) and reply.status is None and reply.name not in (None, *statuses):
                yield source.problem((*path, step.kind, "name"), "dangling", f"no operation declares a reply "
                                     f"{reply.name!r}, so whoever calls this workflow cannot tell whether it is an "
                                     "error; give it a `status` here, or in an operation")


def _events(workflows: Workflows, operations: Sequence[Operation], called: Called) -> Iterator[Problem]:
    """Events need a caller that hears them, from the workflow of its operation and from those that it calls."""
    emits = {name: paths for name, (workflow, _) in workflows.items() if (paths := [
        path for path, step in steps_in(workflow.steps) if isinstance(step.settings, EmitSettings)])}
    for operation in operations:
        if not emits:
            # few do, and hundreds may call each other
            return
        if operation.mode == "events" or operation.workflow not in workflows:
            continue
        for name in called_first([operation.workflow], called.__getitem__):
            for path in emits.pop(name, ()):
                yield workflows[name][1].problem(
                    (*path, "emit"), "misplaced", f"operation {operation.name!r} runs this, and its mode is "
                    f"{operation.mode}: only callers of `mode: events` hear events")


def _circles(workflows: Workflows, calls: Calls, called: Called) -> Iterator[Problem]:
    ring = rings(called)
    for name, made in calls.items():
        for path, other in made:
            if ring[other] == ring[name]:
                way = _way(other, name, called)
                yield workflows[name][1].problem(path, "cycle",
                                                 f"workflows call each other in a circle: {_row([name, *way])}")


def _way(start: str, goal: str, called: Called) -> list[str]:
    """The shortest way that calls lead from one to another; there is one."""
    came, waiting = {start: start}, deque([start])
    while goal not in came:
        name = waiting.popleft()
        for other in called[name]:
            if other not in came:
                came[other] = name
                waiting.append(other)
    way = [goal]
    while way[-1] != start:
        way.append(came[way[-1]])
    return way[::-1]


def _too_deep(workflows: Workflows, calls: Calls, called: Called) -> Iterator[Problem]:
    """Chains of calls that executors do not follow to their end; each is told where it begins."""
    depths: dict[str, int] = {}
    for name in called_first(called, called.__getitem__):
        depths[name] = max((1 + depths[other] for other in called[name]), default=0)
    inner = {other for others in called.values() for other in others}
    for name, made in calls.items():
        if depths[name] > MAX_CALL_DEPTH and name not in inner:
            path, _ = max(made, key=lambda call: depths[call[1]])
            yield workflows[name][1].problem(
                path, "too-deep", f"{depths[name]} calls stand one inside the other from here on "
                f"({_row(_longest(name, called, depths))}), and executors follow no more than {MAX_CALL_DEPTH}: put "
                "the steps of some of these workflows into those that call them")


def _longest(name: str, called: Called, depths: Mapping[str, int]) -> list[str]:
    way = [name]
    while called[way[-1]]:
        way.append(max(called[way[-1]], key=depths.__getitem__))
    return way


def _row(names: Sequence[str]) -> str:
    told = names if len(names) <= _TOLD else [*names[:_TOLD // 2], "...", *names[-_TOLD // 2:]]
    return " -> ".join(told)
