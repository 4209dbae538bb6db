"""A project from its files: every problem at once, each with its place.

In:    relative file name -> text.
Out:   `Loaded`: the project, or problems.
Never: an exception, whatever the texts are; a file system.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.project.check import Checked, check_project
from shared.project.model import Access, DeclaredCredential, Operation, Project, Workflow
from shared.project.places import Key, Problem, Source, read
from shared.project.salvage import salvage
from shared.project.steps.registry import STEP_SETTINGS
from shared.project.wording import mistakes

HEADER, OPERATIONS, ACCESS, CREDENTIALS = "weir.yaml", "operations.yaml", "access.yaml", "credentials.yaml"
WORKFLOWS = "workflows/"
_HEADER_KEYS = frozenset({"name", "title", "version", "description", "auth", "allowance", "config", "tracing"})
_ACCESS_KEYS = frozenset(Access.model_fields)
# lists of `access.yaml` to whose items nothing else refers
_LOSABLE = frozenset({"policies", "headers", "cors", "bounds"})
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded:
    """`project` is None when there are problems."""

    project: Project | None
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class _Reading:
    problems: list[Problem] = field(default_factory=list)
    checked: Checked = field(default_factory=Checked)


def is_project_file(name: str) -> bool:
    """Whether a file belongs to a project's definition; others (a README, a stub, the hidden files of an editor) may
    lie beside it.
    """
    return name in (HEADER, OPERATIONS, ACCESS, CREDENTIALS) or (
        name.startswith(WORKFLOWS) and name.endswith(".yaml") and name.count("/") == 1
        and not name.startswith(f"{WORKFLOWS}."))


def load_project(files: Mapping[str, str]) -> Loaded:
    """Read and check all files of a project."""
    reading = _Reading()
    sources = {name: read(name, text) for name, text in sorted(files.items()) if is_project_file(name)}
    for source in sources.values():
        reading.problems += source.problems
    header = sources.get(HEADER)
    if header is None:
        reading.problems.append(Problem(HEADER, 1, 1, "file-missing", f"a project has a {HEADER} with its name"))
        header = Source(HEADER, {"name": "unnamed"})
    document = {"name": "unnamed", **_mapping(header, _HEADER_KEYS, reading)}
    if OPERATIONS in sources:
        _operations(sources[OPERATIONS], reading)
    if ACCESS in sources:
        document |= _access(sources[ACCESS], reading)
    if CREDENTIALS in sources:
        _credentials(sources[CREDENTIALS], reading)
    for name, source in sources.items():
        if name.startswith(WORKFLOWS):
            _workflow(source, name.removeprefix(WORKFLOWS).removesuffix(".yaml"), reading)
    project = _model(Project, document, header, (), reading)
    if project is not None:
        reading.checked.config = frozenset(project.config)
        reading.checked.allowance = project.allowance, header
    reading.problems += check_project(reading.checked)
    if reading.problems or project is None:
        return Loaded(None, tuple(sorted(set(reading.problems))))
    return Loaded(project.model_copy(update={
        "operations": tuple(operation for operation, _, _ in reading.checked.operations),
        "workflows": {workflow.name: workflow for workflow, _ in reading.checked.workflows},
        "credentials": tuple(reading.checked.credentials[0]) if reading.checked.credentials else ()}), ())


def _mapping(source: Source, keys: frozenset[str], reading: _Reading) -> dict[str, Any]:
    if source.data is None:
        return {}
    if not isinstance(source.data, dict):
        reading.problems.append(source.problem((), "shape", f"{source.file} is a mapping with {_list(keys)}"))
        return {}
    for key in source.data:
        if key not in keys:
            reading.problems.append(source.problem((str(key),), "unknown-key",
                                                   f"unknown key {key!r}; {source.file} has {_list(keys)}"))
    return {key: value for key, value in source.data.items() if key in keys}


def _items(source: Source, key: str, reading: _Reading) -> list[Any] | None:
    """Of a file that is one list; None for one that is none."""
    found = _mapping(source, frozenset({key}), reading).get(key)
    if isinstance(found, list):
        return found
    if not source.problems:
        reading.problems.append(source.problem((key,), "shape", f"`{key}` is a list"))
    return None


def _operations(source: Source, reading: _Reading) -> None:
    for index, raw in enumerate(_items(source, "operations", reading) or ()):
        path = ("operations", index)
        operation = _model(Operation, raw, source, path, reading)
        if operation is not None:
            reading.checked.operations.append((operation, source, path))
        elif isinstance(raw, dict):
            reading.checked.used_workflows.add(str(raw.get("workflow")))
            reading.checked.malformed_operations.add(str(raw.get("name")))


def _credentials(source: Source, reading: _Reading) -> None:
    found = _items(source, "credentials", reading)
    if found is None:
        return
    models = [_model(DeclaredCredential, raw, source, ("credentials", index), reading)
              for index, raw in enumerate(found)]
    declared = [model for model in models if model is not None]
    # with one that is malformed nobody knows which names are missing
    if len(declared) == len(models):
        reading.checked.credentials = declared, source


def _workflow(source: Source, stem: str, reading: _Reading) -> None:
    if source.problems:
        reading.checked.known_workflows.add(stem)
        return
    raw = source.data
    name = raw.get("name", stem) if isinstance(raw, dict) else stem
    reading.checked.known_workflows.add(str(name))
    workflow = _model(Workflow, {"name": stem, **raw} if isinstance(raw, dict) else raw, source, (), reading)
    if workflow is not None:
        reading.checked.workflows.append((workflow, source))


def _access(source: Source, reading: _Reading) -> dict[str, Any]:
    found = _mapping(source, _ACCESS_KEYS, reading)
    source = replace(source, data={key: value for key, value in found.items() if value is not None})
    access = _model(Access, source.data, source, (), reading)
    while access is None:
        # what is wrong is told; the rest is checked as well, so that everything is told at once
        misfits = _misfits(Access, source.data)
        rest = salvage(source, misfits, _LOSABLE) if misfits else None
        if rest is None:
            return {}
        source = rest
        access = _model(Access, source.data, source, (), _Reading())
    reading.checked.access = access, source
    return {name: getattr(access, name) for name in Access.model_fields}


def _misfits(kind: type[BaseModel], raw: Any) -> list[tuple[Key, ...]]:
    """Paths of what is malformed."""
    try:
        kind.model_validate(raw)
    except ValidationError as exc:
        return [_in_file(error["loc"], raw) for error in exc.errors(include_url=False, include_context=False)]
    return []


def _model(kind: type[M], raw: Any, source: Source, base: tuple[Key, ...], reading: _Reading) -> M | None:
    try:
        return kind.model_validate(raw)
    except ValidationError as exc:
        for loc, code, message in mistakes(exc, kind):
            reading.problems.append(source.problem((*base, *_in_file(loc, raw)), code, message))
    except RecursionError:
        reading.problems.append(source.problem(base, "shape", "nested too deeply"))
    return None


def _in_file(loc: tuple[Key, ...], raw: Any) -> tuple[Key, ...]:
    """A pydantic location as keys of the file: the settings of a step stand under the key of its kind."""
    path: list[Key] = []
    here = raw
    for key in loc:
        if key == 0 and isinstance(here, dict):
            # one alone may stand without the list
            continue
        if isinstance(here, dict) and key not in here:
            kind = next((kind for kind in STEP_SETTINGS if isinstance(here.get(kind), dict)), None)
            if kind is None or key not in here[kind]:
                break
            path.append(kind)
            here = here[kind]
        path.append(key)
        here = _inside(here, key)
    return tuple(path)


def _inside(here: Any, key: Key) -> Any:
    if isinstance(here, dict):
        return here.get(key)
    return here[key] if isinstance(here, list) and isinstance(key, int) and key < len(here) else None


def _list(keys: frozenset[str]) -> str:
    return ", ".join(sorted(keys))


