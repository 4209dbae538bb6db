"""Rules that look at more than one object of a project, or into its expressions and schemas.

In:    operations and workflows that are well formed by themselves, each with its source.
Out:   problems with their places.
Never: YAML, files.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.project.check_access import check_access
from shared.project.expressions import BadExpression, compile_condition, compile_value, expressions_in
from shared.project.model import REPLY_STATUS, Access, Operation, Step, Workflow
from shared.project.places import Key, Problem, Source
from shared.project.schemas import BadSchema, compile_schema
from shared.project.steps import ReplySettings

_CONFIG_READ = re.compile(r"\bconfig\.([A-Za-z_][A-Za-z0-9_]*)")
_SEGMENT = re.compile(r"\{[a-zA-Z_][a-zA-Z0-9_]*\}")


@dataclass(slots=True)
class Checked:
    """What to check. `known_workflows`: names of all workflow files, the malformed ones too."""

    operations: list[tuple[Operation, Source, tuple[Key, ...]]] = field(default_factory=list)
    workflows: list[tuple[Workflow, Source]] = field(default_factory=list)
    known_workflows: set[str] = field(default_factory=set)
    used_workflows: set[str] = field(default_factory=set)
    config: frozenset[str] | None = None
    access: tuple[Access, Source] | None = None


def check_project(checked: Checked) -> list[Problem]:
    """All problems."""
    access = () if checked.access is None else check_access(
        *checked.access, [operation for operation, _, _ in checked.operations])
    return [*_operations(checked), *_duplicate_workflows(checked), *access,
            *(problem for workflow, source in checked.workflows for problem in _workflow(workflow, source, checked))]


def _operations(checked: Checked) -> Iterator[Problem]:
    names: set[str] = set()
    routes: dict[tuple[str, str], str] = {}
    for operation, source, path in checked.operations:
        if operation.name in names:
            yield source.problem((*path, "name"), "duplicate", f"operation {operation.name!r} stands twice")
        names.add(operation.name)
        shape = (operation.method, _SEGMENT.sub("{}", operation.path))
        if shape in routes:
            yield source.problem((*path, "path"), "duplicate", f"{operation.method} {operation.path} is the same route "
                                 f"as that of operation {routes[shape]!r}")
        routes.setdefault(shape, operation.name)
        if operation.workflow not in checked.known_workflows:
            yield source.problem((*path, "workflow"), "dangling",
                                 f"there is no workflow {operation.workflow!r}; expected workflows/"
                                 f"{operation.workflow}.yaml")
        yield from _path(operation, source, path)
        yield from _schemas(operation, source, path)


def _path(operation: Operation, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    for segment in operation.path.split("/")[1:]:
        if ("{" in segment or "}" in segment) and not _SEGMENT.fullmatch(segment):
            yield source.problem((*path, "path"), "path",
                                 f"segment {segment!r}: a parameter is a whole segment, {{name}}")
    named = operation.path.count("{")
    if named != len(operation.path_parameters):
        yield source.problem((*path, "path"), "path", "a parameter's name stands twice in the path")
    schema = operation.input.path
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        for name in schema["properties"]:
            if name not in operation.path_parameters:
                yield source.problem((*path, "input", "path", "properties", name), "dangling",
                                     f"the path {operation.path} has no parameter {name!r}")


def _schemas(operation: Operation, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    schemas: list[tuple[tuple[Key, ...], object]] = [
        (("input", part), getattr(operation.input, part)) for part in ("path", "query", "headers", "body")]
    for name, reply in operation.replies.items():
        schemas += [(("replies", name, "headers"), reply.headers), (("replies", name, "body"), reply.body)]
        if operation.reply_status(name) is None:
            yield source.problem((*path, "replies", name), "shape", f"reply {name!r} needs a status; only "
                                 f"{', '.join(REPLY_STATUS)} have one by their name")
    for part, schema in schemas:
        if isinstance(schema, dict | bool):
            try:
                compile_schema(schema)
            except BadSchema as exc:
                yield source.problem((*path, *part, *exc.path), "schema", f"not a JSON Schema: {exc}"[:400])


def _duplicate_workflows(checked: Checked) -> Iterator[Problem]:
    names: set[str] = set()
    for workflow, source in checked.workflows:
        if workflow.name in names:
            yield source.problem(("name",), "duplicate", f"workflow {workflow.name!r} stands in two files")
        names.add(workflow.name)


def _workflow(workflow: Workflow, source: Source, checked: Checked) -> Iterator[Problem]:
    users = [operation for operation, _, _ in checked.operations if operation.workflow == workflow.name]
    done: set[str] = set()
    everyone = {step.id for step in workflow.steps}
    replied = False
    for index, step in enumerate(workflow.steps):
        path: tuple[Key, ...] = ("steps", index)
        if step.id in done:
            yield source.problem((*path, "id"), "duplicate", f"step {step.id!r} stands twice in this workflow")
        if replied:
            yield source.problem(path, "unreachable", f"step {step.id!r} is never reached: a reply stands before it")
        yield from _expressions(step, source, path, (done, everyone), checked.config)
        if isinstance(step.settings, ReplySettings):
            yield from _reply(step, step.settings, source, path, users)
            replied = replied or step.if_ is None
        done.add(step.id)
    if not replied:
        yield source.problem(("steps",), "no-reply", f"workflow {workflow.name!r} can end without a reply; "
                             "its last step should be a `reply` without `if`")


def _expressions(step: Step, source: Source, path: tuple[Key, ...], ids: tuple[set[str], set[str]],
                 config: frozenset[str] | None) -> Iterator[Problem]:
    done, everyone = ids
    settings = step.settings.model_dump(by_alias=True)
    parts = [((*path, step.kind, name), value, False) for name, value in settings.items()]
    if step.if_ is not None:
        parts.append(((*path, "if"), step.if_, True))
    for place, value, is_condition in parts:
        try:
            template = compile_condition(value) if is_condition else compile_value(value)
        except BadExpression as exc:
            yield source.problem(place, "expression",
                                 f"expression {{% {exc.text[:200]} %}} does not compile: {exc}")
            continue
        for name in sorted(template.reads - done):
            what = "a later step" if name in everyone else "no step of this workflow"
            yield source.problem(place, "step-order", f"steps.{name} is read here, and {name!r} is {what}")
        texts = [value] if is_condition else expressions_in(value)
        read = {name for text in texts for name in _CONFIG_READ.findall(text)}
        for name in sorted(read - config if config is not None else ()):
            yield source.problem(place, "dangling", f"config.{name} is read here, and weir.yaml has no config {name!r}")


def _reply(step: Step, settings: ReplySettings, source: Source, path: tuple[Key, ...],
           users: list[Operation]) -> Iterator[Problem]:
    if settings.status is not None:
        return
    for operation in users:
        if operation.reply_status(settings.name) is None:
            yield source.problem((*path, step.kind, "name"), "dangling",
                                 f"operation {operation.name!r} declares no reply {settings.name!r}; "
                                 "give it one there, or a `status` here")
