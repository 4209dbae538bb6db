"""Projects and their versions.

In:    files of a project.
Out:   versions in force, history, differences, documents.
Never: a change without a look at the version that the caller expects.
"""

from pydantic import Field, ValidationError

from services.control import changes
from services.control.api import WHOLE, Body, Call, Desk, Result, Route, Whole, number, whole
from services.control.faults import Conflict, NotFound
from shared.contracts.config import OldVersion, ProjectVersion
from shared.errors import BodyTooLarge
from shared.project.model import Project
from shared.project.openapi import openapi


class Apply(Body):
    """A project's files, and the version that the caller believes to be in force (0: none)."""

    files: dict[str, str]
    expected_version: Whole | None = None
    author: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=1000)


class Rollback(Body):
    """Which version to go back to."""

    to: Whole = Field(ge=1)
    expected_version: Whole | None = None


class Files(Body):
    """A project's files."""

    files: dict[str, str]


async def list_projects(call: Call) -> Result:
    """All projects with their versions in force."""
    catalogue = call.desk.registry.catalogue
    newest = [catalogue.newest(name) for name in catalogue.projects()]
    return Result([_brief(version) for version in newest if version is not None and not version.removes])


async def apply(call: Call) -> Result:
    """Write a new version; 200 when these files are in force already."""
    desk, body, name = call.desk, call.body, call.path["project"]
    size = sum(len(text.encode()) for text in body.files.values())
    if size > desk.max_project_bytes:
        raise BodyTooLarge(f"the files have {size} bytes together, the limit is {desk.max_project_bytes} "
                           "(WEIR_CONTROL_MAX_PROJECT_BYTES)")
    async with desk.registry.changing() as write:
        version = changes.next_version(desk.registry.catalogue, name, body.files, body.expected_version,
                                       desk.clock.now_ms())
        if version is None:
            return Result({**_brief(_in_force(call)), "changed": False})
        version = ProjectVersion(project=name, version=version.version, document=version.document,
                                 files=version.files, time=version.time, author=body.author, note=body.note)
        await write(version, "apply")
        _drop_outlived(desk, name)
    return Result({**_brief(version), "changed": True}, 201)


async def show(call: Call) -> Result:
    """The version in force."""
    return Result(_whole(_in_force(call)))


async def versions(call: Call) -> Result:
    """All kept versions, oldest first."""
    return Result([_brief(version) for version in call.desk.registry.catalogue.history(known_project(call))])


async def version(call: Call) -> Result:
    """One kept version with its files."""
    name, number = call.path["project"], call.path["version"]
    wanted = whole(number)
    found = None if wanted is None else call.desk.registry.catalogue.version(name, wanted)
    if found is None:
        raise NotFound(f"project {name!r} has no version {number[:40]}; `weir versions` lists them")
    return Result(_whole(found))


async def roll_back(call: Call) -> Result:
    """Write a new version with the content of an old one."""
    desk, name = call.desk, call.path["project"]
    async with desk.registry.changing() as write:
        version = changes.rollback(desk.registry.catalogue, name, call.body.to, call.body.expected_version,
                                   desk.clock.now_ms())
        await write(version, "rollback")
        _drop_outlived(desk, name)
    return Result(_brief(version), 201)


async def remove(call: Call) -> Result:
    """Take a project out of force."""
    desk, name = call.desk, call.path["project"]
    expected = number(call, "expected_version", None)
    async with desk.registry.changing() as write:
        version = changes.removal(desk.registry.catalogue, name, expected, desk.clock.now_ms())
        await write(version, "remove project")
    return Result(_brief(version))


async def diff(call: Call) -> Result:
    """What would change."""
    return Result({"diff": changes.diff(call.desk.registry.catalogue, call.path["project"], call.body.files)})


async def document(call: Call) -> Result:
    """The project's OpenAPI description."""
    newest = _in_force(call)
    try:
        project = Project.model_validate(newest.document)
    except ValidationError as exc:
        raise Conflict(f"version {newest.version} of {newest.project!r} cannot be read by this release, or without a "
                       "connector that it had; services go on with one before it. Apply or roll back to another one"
                       ) from exc
    return Result(openapi(project, f"/{newest.project}"))


def _drop_outlived(desk: Desk, name: str) -> None:
    registry = desk.registry
    registry.drop(name, changes.outlived(registry.catalogue, name, desk.keep_versions, desk.clock.now_ms()))


def known_project(call: Call) -> str:
    """The project in the address. Raises NotFound: an empty listing of a name that is mistyped says too much.

    One that was removed is known: what it had is still there to be looked at.
    """
    name = call.path["project"]
    if call.desk.registry.catalogue.newest(name) is None:
        raise changes.gone(name, None)
    return name


def _in_force(call: Call) -> ProjectVersion:
    name = call.path["project"]
    found = call.desk.registry.catalogue.newest(name)
    if found is None or found.removes:
        raise changes.gone(name, found)
    return found


def _brief(version: ProjectVersion | OldVersion) -> dict[str, object]:
    return {"project": version.project, "version": version.version, "time": version.time, "author": version.author,
            "note": version.note, "operations": version.operation_count}


def _whole(version: ProjectVersion) -> dict[str, object]:
    return {**_brief(version), "files": version.files, "document": version.document}


ROUTES = (
    Route(method="GET", path="/projects", summary="List projects", handler=list_projects),
    Route(method="GET", path="/projects/{project}", summary="Show the version in force", handler=show),
    Route(method="DELETE", path="/projects/{project}", summary="Take a project out of force", handler=remove,
          query={"expected_version": "the version that has to be in force"}, forms={"expected_version": WHOLE}),
    Route(method="GET", path="/projects/{project}/versions", summary="List versions", handler=versions),
    Route(method="POST", path="/projects/{project}/versions", summary="Apply a new version", handler=apply, body=Apply,
          status=201, unchanged="These files are in force already"),
    Route(method="GET", path="/projects/{project}/versions/{version}", summary="Show one version", handler=version),
    Route(method="POST", path="/projects/{project}/rollback", summary="Go back to an old version", handler=roll_back,
          body=Rollback, status=201),
    Route(method="POST", path="/projects/{project}/diff", summary="Compare files with the version in force",
          handler=diff, body=Files),
    Route(method="GET", path="/projects/{project}/openapi.json", summary="OpenAPI description of a project",
          handler=document),
)
