"""Rules of workflows that call each other: who is there, what fits, who hears events, no circles.

In:    workflows that are well formed by themselves, with their sources; the operations that use them.
Out:   problems with their places.
Never: YAML, files; what stands inside one workflow (`check_workflows.py`).
"""

from collections.abc import Iterator, Mapping, Sequence

from shared.project.expressions import BadExpression, compile_value
from shared.project.inputs import ValueValidator
from shared.project.model import Operation, Schema, Workflow
from shared.project.places import Problem, Source
from shared.project.schemas import BadSchema
from shared.project.steps.base import Path, Step, steps_in
from shared.project.steps.control import CallSettings
from shared.project.steps.work import EmitSettings

Workflows = Mapping[str, tuple[Workflow, Source]]


def check_calls(workflows: Workflows, operations: Sequence[Operation], known: set[str]) -> Iterator[Problem]:
    """All problems. `known`: names of all workflow files, the malformed ones too."""
    for workflow, source in workflows.values():
        yield from _calls(workflow, source, known, workflows)
    yield from _events(workflows, operations)
    yield from _cycles(workflows)


def given_by_calls(workflow: Workflow, workflows: Workflows) -> dict[str, tuple[str, Schema]]:
    """By step: the workflow that it calls, and the schema of what the step gives, where nothing else can come of it."""
    calls = [(step, step.settings) for _, step in steps_in(workflow.steps) if isinstance(step.settings, CallSettings)]
    return {step.id: (settings.workflow, output) for step, settings in calls
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


def _calls(workflow: Workflow, source: Source, known: set[str], workflows: Workflows) -> Iterator[Problem]:
    for path, step in steps_in(workflow.steps):
        if not isinstance(step.settings, CallSettings):
            continue
        name = step.settings.workflow
        if name not in known:
            yield source.problem((*path, step.kind, "workflow"), "dangling",
                                 f"there is no workflow {name!r}; expected workflows/{name}.yaml")
        elif name in workflows and (misfit := _misfit(step.settings.input, workflows[name][0].input)):
            yield source.problem((*path, step.kind, "input"), "misfit",
                                 f"this does not fit the input of workflow {name!r}: {misfit}")


def _misfit(value: object, schema: Schema | None) -> str:
    """What is wrong with the input of a call, as far as that is known before it runs; empty when nothing is."""
    try:
        validator = ValueValidator(schema)
        if compile_value(value).constant:
            return validator.misfits(value)
    except (BadExpression, BadSchema):
        # told elsewhere
        return ""
    if not isinstance(schema, dict) or not isinstance(value, Mapping):
        return ""
    missing = [name for name in schema.get("required", ()) if name not in value]
    unknown = [name for name in value if name not in schema.get("properties", {})
               ] if schema.get("additionalProperties") is False else []
    return "; ".join([*(f"{name!r} is missing" for name in missing),
                      *(f"{name!r} is none of its members" for name in unknown)])


def _events(workflows: Workflows, operations: Sequence[Operation]) -> Iterator[Problem]:
    """Events need a caller that hears them, from the workflow of its operation and from those that it calls."""
    told: set[tuple[str, Path]] = set()
    for operation in operations:
        for name in _reached(operation.workflow, workflows) if operation.mode != "events" else ():
            workflow, source = workflows[name]
            for path, step in steps_in(workflow.steps):
                if isinstance(step.settings, EmitSettings) and (name, path) not in told:
                    told.add((name, path))
                    yield source.problem((*path, "emit"), "misplaced", f"operation {operation.name!r} runs this, and "
                                         f"its mode is {operation.mode}: only callers of `mode: events` hear events")


def _reached(start: str, workflows: Workflows) -> set[str]:
    found, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name in workflows and name not in found:
            found.add(name)
            waiting += [step.settings.workflow for _, step in steps_in(workflows[name][0].steps)
                        if isinstance(step.settings, CallSettings)]
    return found


def _cycles(workflows: Workflows) -> Iterator[Problem]:
    calls = {name: [(path, step, step.settings.workflow) for path, step in steps_in(workflow.steps)
                    if isinstance(step.settings, CallSettings)] for name, (workflow, _) in workflows.items()}
    for name, (_, source) in workflows.items():
        for path, step, target in calls[name]:
            way = _way(target, name, calls)
            if way is not None:
                yield source.problem((*path, step.kind, "workflow"), "cycle",
                                     f"workflows call each other in a circle: {' -> '.join([name, *way])}")


def _way(start: str, goal: str, calls: Mapping[str, list[tuple[Path, Step, str]]]) -> list[str] | None:
    waiting, seen = [[start]], {start}
    while waiting:
        way = waiting.pop(0)
        if way[-1] == goal:
            return way
        for _, _, target in calls.get(way[-1], ()):
            if target not in seen:
                seen.add(target)
                waiting.append([*way, target])
    return None
