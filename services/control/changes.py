"""Decide what a change of configuration writes. Pure.

In:    the catalogue, what was asked for, the time.
Out:   the entity to write, or a refusal.
Never: Kafka, HTTP, a clock.
"""

from collections.abc import Mapping
from itertools import pairwise

from services.control.differences import unified
from services.control.faults import Conflict, NotFound
from shared.contracts.catalogue import Catalogue
from shared.contracts.config import DroppedVersion, ProjectVersion
from shared.decision.book import GuardedProject
from shared.errors import InputInvalid
from shared.names import topics
from shared.project.canary import RESERVED_PREFIX
from shared.project.load import is_project_file, load_project
from shared.project.model import MAX_RUN_MS, Project

# problems of a version that is gone back to
_TOLD = 3
# a durable execution goes on with the version that it began with, and one that failed may be resumed while it is kept
_IN_USE_MS = 2 * MAX_RUN_MS + topics.DAY_MS
_DROPPED_AT_ONCE = 100


def next_version(catalogue: Catalogue, name: str, files: Mapping[str, str], expected: int | None,
                 now_ms: int) -> ProjectVersion | None:
    """The version that these files make; None when they are in force already. Raises InputInvalid, Conflict."""
    kept = {file: text for file, text in files.items() if is_project_file(file)}
    project = loaded(name, kept)
    if name.startswith(RESERVED_PREFIX):
        raise InputInvalid(f"names that begin with {RESERVED_PREFIX!r} are Weir's own; choose another one")
    newest = catalogue.newest(name)
    _check_expected(newest, expected)
    if newest is not None and newest.files == kept:
        return None
    return ProjectVersion(project=name, version=(newest.version if newest else 0) + 1, files=kept, time=now_ms,
                          document=project.to_document())


def loaded(name: str, files: Mapping[str, str]) -> Project:
    """The project of some files. Raises InputInvalid with every problem."""
    found = load_project(files)
    if found.project is None:
        errors = [{"file": problem.file, "line": problem.line, "column": problem.column, "code": problem.code,
                   "message": problem.message} for problem in found.problems]
        raise InputInvalid(f"the project has {len(errors)} problem{'s' if len(errors) > 1 else ''}",
                           members={"errors": errors})
    if found.project.name != name:
        raise InputInvalid(f"weir.yaml names the project {found.project.name!r}, the address says {name!r}")
    return found.project


def rollback(catalogue: Catalogue, name: str, to: int, expected: int | None, now_ms: int) -> ProjectVersion:
    """A new version with the content of an old one. Raises NotFound, Conflict, InputInvalid.

    What newer checks alone would refuse is taken, for it may be what ends an outage.
    """
    newest, old = catalogue.newest(name), catalogue.version(name, to)
    if newest is None or old is None:
        raise NotFound(f"project {name!r} has no version {to}")
    if old.removes:
        raise NotFound(f"by version {to} project {name!r} was removed; go back to one before it")
    _check_expected(newest, expected)
    _check_compiles(old)
    return ProjectVersion(project=name, version=newest.version + 1, document=old.document, files=old.files,
                          time=now_ms, note=f"rollback to version {to}")


def removal(catalogue: Catalogue, name: str, expected: int | None, now_ms: int) -> ProjectVersion:
    """A version that takes the project out of force. Raises NotFound, Conflict."""
    newest = catalogue.newest(name)
    if newest is None or newest.removes:
        raise gone(name, newest)
    _check_expected(newest, expected)
    return ProjectVersion(project=name, version=newest.version + 1, document={}, files={}, time=now_ms, note="removed")


def gone(name: str, newest: ProjectVersion | None) -> NotFound:
    """What is said of a project that is not in force."""
    if newest is None:
        return NotFound(f"there is no project {name!r}; `weir apply` makes one")
    return NotFound(f"project {name!r} was removed, by its version {newest.version}; `weir versions {name}` lists what "
                    "was there, `weir rollback` or `weir apply` brings it back")


def outlived(catalogue: Catalogue, name: str, keep: int, now_ms: int) -> list[DroppedVersion]:
    """Versions that may go: `keep` newer ones are there, and nothing that began with them can go on any more."""
    history = catalogue.history(name)
    return [DroppedVersion(project=name, version=version.version)
            for version, after in pairwise(history[:max(0, len(history) - keep + 1)])
            if after.time < now_ms - _IN_USE_MS][:_DROPPED_AT_ONCE]


def diff(catalogue: Catalogue, name: str, files: Mapping[str, str]) -> str:
    """Unified diff from the version in force to these files; empty when they are the same."""
    newest = catalogue.newest(name)
    before = newest.files if newest else {}
    after = {file: text for file, text in files.items() if is_project_file(file)}
    lines: list[str] = []
    for file in sorted(before.keys() | after.keys()):
        names = (f"{file} (version {newest.version})" if newest and file in before else "(none)",
                 file if file in after else "(none)")
        found = list(unified(before.get(file, "").splitlines(keepends=True),
                             after.get(file, "").splitlines(keepends=True), *names))
        if not found and "(none)" in names:
            # one without a line is there, or is not, all the same
            found = [f"--- {names[0]}\n", f"+++ {names[1]}\n"]
        lines += found
    # as other tools say it; else what comes next stands on the same line
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _check_expected(newest: ProjectVersion | None, expected: int | None) -> None:
    current = newest.version if newest else 0
    if expected is not None and expected != current:
        raise Conflict(f"version {current} is in force, not {expected}; look at `weir diff`, then apply again",
                       members={"current_version": current})


def _check_compiles(version: ProjectVersion) -> None:
    """Services pass over what they cannot compile, and go on with what they have: nobody would hear of it."""
    try:
        GuardedProject.of(version)
    except Exception as exc:
        name, number = version.project, version.version
        found = load_project(version.files)
        said = "; ".join(map(str, found.problems[:_TOLD])) or str(exc).splitlines()[0]
        raise InputInvalid(f"version {number} cannot be in force any more, with this release or without a connector "
                           f"that it had: {said}. Mend it and apply it: `weir export {name} FOLDER --version {number}`"
                           ) from exc
