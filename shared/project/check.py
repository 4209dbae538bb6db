"""Rules that look at more than one object of a project, or into its expressions and schemas.

In:    operations and workflows that are well formed by themselves, each with its source.
Out:   problems with their places.
Never: YAML, files.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.project.allowance import Allowance
from shared.project.check_access import check_access
from shared.project.check_allowance import check_allowance
from shared.project.check_credentials import check_credentials
from shared.project.check_headers import check_input
from shared.project.check_workflows import check_workflows
from shared.project.model import MAX_LIVE_RUN_MS, REPLY_STATUS, Access, DeclaredCredential, Operation, Workflow
from shared.project.modes import OWN_PATHS
from shared.project.places import Key, Problem, Source
from shared.project.schemas import BadSchema, compile_schema

_SEGMENT = re.compile(r"\{[a-zA-Z_][a-zA-Z0-9_]*\}")


@dataclass(slots=True)
class Checked:
    """What to check. `known_workflows`, `malformed_operations`: names of what is there, though it is malformed;
    `used_workflows`: those that malformed operations name.
    """

    operations: list[tuple[Operation, Source, tuple[Key, ...]]] = field(default_factory=list)
    workflows: list[tuple[Workflow, Source]] = field(default_factory=list)
    known_workflows: set[str] = field(default_factory=set)
    malformed_operations: set[str] = field(default_factory=set)
    used_workflows: set[str] = field(default_factory=set)
    config: frozenset[str] | None = None
    access: tuple[Access, Source] | None = None
    allowance: tuple[Sequence[Allowance], Source] | None = None
    credentials: tuple[Sequence[DeclaredCredential], Source] | None = None


def check_project(checked: Checked) -> list[Problem]:
    """All problems."""
    operations = [operation for operation, _, _ in checked.operations]
    names = {operation.name for operation in operations} | checked.malformed_operations
    access = () if checked.access is None else check_access(*checked.access, operations, names)
    allowance = () if checked.allowance is None else check_allowance(*checked.allowance, names)
    # without the file nothing is declared, and nothing asked for
    credentials = () if checked.credentials is None else check_credentials(*checked.credentials, checked.workflows)
    return [*_operations(checked), *_duplicate_workflows(checked), *access, *allowance, *credentials,
            *check_workflows(checked.workflows, operations, checked.known_workflows, checked.used_workflows,
                             checked.config)]


def _operations(checked: Checked) -> Iterator[Problem]:
    names: set[str] = set()
    routes: dict[tuple[str, str], str] = {}
    durable = {workflow.name: workflow.durable for workflow, _ in checked.workflows}
    access = Access() if checked.access is None else checked.access[0]
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
        yield from _times(operation, source, path, durable)
        yield from _schemas(operation, source, path)
        yield from check_input(operation, access, source, path)
        if checked.access is not None:
            yield from _kinds(operation, access, source, path)


def _kinds(operation: Operation, access: Access, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    there = sorted(access.authentication.kinds())
    for index, kind in enumerate(operation.authentication or ()):
        if kind not in there:
            yield source.problem((*path, "authentication", index), "dangling", f"nobody can show a proof of the kind "
                                 f"{kind}: `authentication` in access.yaml sets up {', '.join(there) or 'none'}")


def _path(operation: Operation, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    if operation.path.startswith(OWN_PATHS):
        yield source.problem((*path, "path"), "path", f"paths that begin with {OWN_PATHS} are Weir's own")
    for segment in operation.path.split("/")[1:]:
        if ("{" in segment or "}" in segment) and not _SEGMENT.fullmatch(segment):
            yield source.problem((*path, "path"), "path",
                                 f"segment {segment!r}: a parameter is a whole segment, {{name}}")
        if segment.startswith(":") or segment == "*":
            # other routers' parameters; here they would be nothing but the characters
            yield source.problem((*path, "path"), "path", f"segment {segment!r}: a parameter is written "
                                 f"{{{segment[1:] or 'name'}}}, and stands for one segment")
    named = operation.path.count("{")
    if named != len(operation.path_parameters):
        yield source.problem((*path, "path"), "path", "a parameter's name stands twice in the path")
    schema = operation.input.path
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        for name in schema["properties"]:
            if name not in operation.path_parameters:
                yield source.problem((*path, "input", "path", "properties", name), "dangling",
                                     f"the path {operation.path} has no parameter {name!r}")


def _times(operation: Operation, source: Source, path: tuple[Key, ...],
           durable: Mapping[str, bool]) -> Iterator[Problem]:
    run_ms = operation.run_timeout_ms
    if run_ms is not None and run_ms < operation.timeout_ms:
        yield source.problem((*path, "run_timeout"), "shape", "the work cannot end before its caller stops to wait: "
                             "`run_timeout` is at least `timeout`")
    # of one whose file has another mistake nobody knows what it says
    if run_ms is not None and run_ms > MAX_LIVE_RUN_MS and durable.get(operation.workflow) is False:
        yield source.problem((*path, "run_timeout"), "shape", f"only a durable workflow may run for longer than "
                             f"{MAX_LIVE_RUN_MS // 60_000} minutes; say `durable: true` in its file")
    if operation.mode == "events" and durable.get(operation.workflow):
        yield source.problem((*path, "mode"), "shape", "a workflow with events cannot be durable: its caller hears "
                             "them now, or never")


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
