"""Commands on projects: validate, apply, diff, versions, rollback, export.

In:    a folder, or a project's name.
Out:   problems with their places, versions, differences.
Never: a cluster for `validate`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from services.console.cli import admin, output
from services.console.cli.failure import Failure
from services.console.cli.output import AsJson
from shared.project.cost import cost_of
from shared.project.load import WORKFLOWS, is_project_file, load_project

Folder = Annotated[Path, typer.Argument(help="Folder of the project.")]
Expected = Annotated[int | None, typer.Option(help="Refuse unless this version is in force.")]
ProjectName = Annotated[str, typer.Argument(help="Name of the project.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(validate)
    app.command()(apply)
    app.command()(diff)
    app.command()(versions)
    app.command()(rollback)
    app.command()(remove)
    app.command()(export)
    app.command(name="projects")(list_projects)


def read_folder(folder: Path) -> dict[str, str]:
    """The files of a project by relative name. Raises Failure."""
    try:
        if not folder.is_dir():
            raise Failure(f"{folder} is not a folder; name the folder that holds the project's weir.yaml")
        names = sorted(_names(folder))
        for name in names:
            if (meant := _meant(name)) not in names:
                # a project without its access.yaml would be open to more than its owner has written
                raise Failure(f"{folder / name} would not be read: call it {meant}, as the files of a project are")
        return {name: _text(folder / name) for name in names if is_project_file(name)}
    except OSError as exc:
        raise Failure(f"{folder}, or a file below it, cannot be read: {exc}") from None


def _names(folder: Path) -> Iterator[str]:
    """What lies where the files of a project do. Raises OSError for a folder that is closed to us."""
    yield from (path.name for path in folder.iterdir())
    if (workflows := folder / WORKFLOWS).is_dir():
        yield from (f"{WORKFLOWS}{path.name}" for path in workflows.iterdir())


def _meant(name: str) -> str:
    """The name of a file of a project that another name stands for; else the name itself."""
    meant = name if name.startswith(WORKFLOWS) else name.lower()
    if meant.lower().endswith(".yml"):
        meant = f"{meant[:-4]}.yaml"
    return meant if is_project_file(meant) else name


def _text(path: Path) -> str:
    """YAML is UTF-8, whatever the machine's language. Raises Failure, OSError."""
    if path.exists() and not path.is_file():
        # a pipe would be waited for, and a device may have no end
        raise Failure(f"{path} is no file but a folder, a pipe or a device; a project is read from files")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        *_, begun = (before := exc.object[:exc.start]).split(b"\n")
        raise Failure(f"{path}:{before.count(10) + 1}:{len(begun.decode()) + 1}: the byte "
                      f"{exc.object[exc.start]:#04x} stands here, and the file is no text in UTF-8 with it") from None


def validate(folder: Folder, as_json: AsJson = False) -> None:
    """Check a project's files; every problem with file, line and column."""
    loaded = load_project(read_folder(folder))
    if as_json:
        output.document([{"file": problem.file, "line": problem.line, "column": problem.column, "code": problem.code,
                          "message": problem.message} for problem in loaded.problems])
    else:
        for problem in loaded.problems:
            output.say(f"{folder}/{problem}")
    if loaded.project is None:
        raise typer.Exit(1)
    if not as_json:
        for operation in loaded.project.operations:
            output.say(f"{operation.name}: {cost_of(loaded.project, operation.workflow)}")
        output.say(f"{loaded.project.name}: {len(loaded.project.operations)} operations, "
                   f"{len(loaded.project.workflows)} workflows, no problems")


def apply(folder: Folder, expected_version: Expected = None,
          note: Annotated[str, typer.Option(help="Why; kept with the version.")] = "", as_json: AsJson = False) -> None:
    """Put a project in force."""
    files = read_folder(folder)
    loaded = load_project(files)
    if loaded.project is None:
        raise Failure("\n".join(["the project has problems; nothing was applied",
                                 *(f"  {folder}/{problem}" for problem in loaded.problems)]))
    answer = admin.ask("POST", ("projects", loaded.project.name, "versions"),
                       {"files": files, "expected_version": expected_version, "note": note})
    if as_json:
        output.document(answer)
    else:
        output.say(f"{answer['project']}: version {answer['version']} is in force"
                   + ("" if answer["changed"] else "; nothing has changed"))


def diff(folder: Folder) -> None:
    """Show what `apply` would change."""
    files = read_folder(folder)
    loaded = load_project(files)
    if loaded.project is None:
        raise Failure(f"the project has {len(loaded.problems)} problems; `weir validate {folder}` lists them")
    answer = admin.ask("POST", ("projects", loaded.project.name, "diff"), {"files": files})
    output.say(answer["diff"] or "no difference")


def versions(project: ProjectName, as_json: AsJson = False) -> None:
    """List a project's versions, oldest first; the last one is in force."""
    output.rows(admin.ask("GET", ("projects", project, "versions")), ("version", "time", "operations", "note"),
                as_json=as_json)


def rollback(project: ProjectName, to: Annotated[int, typer.Argument(help="Version to go back to.")],
             expected_version: Expected = None, as_json: AsJson = False) -> None:
    """Write a new version with the content of an old one."""
    answer = admin.ask("POST", ("projects", project, "rollback"), {"to": to, "expected_version": expected_version})
    if as_json:
        output.document(answer)
    else:
        output.say(f"{project}: version {answer['version']} is in force, with the content of version {to}")


def remove(project: ProjectName, expected_version: Expected = None, as_json: AsJson = False) -> None:
    """Take a project out of force: its operations are gone, what runs goes on; `rollback` brings it back."""
    answer = admin.ask("DELETE", ("projects", project), query={"expected_version": expected_version})
    if as_json:
        output.document(answer)
    else:
        output.say(f"{project} is in force no more, by version {answer['version']}; "
                   f"`weir rollback {project} {answer['version'] - 1}` brings it back")


def export(project: ProjectName, folder: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
           version: Annotated[int | None, typer.Option(help="A version other than the one in force.")] = None) -> None:
    """Write a project's files into a new folder."""
    parts = () if version is None else ("versions", version)
    try:
        if folder.exists():
            raise Failure(f"{folder} exists; name a folder that does not")
        for name, text in admin.ask("GET", ("projects", project, *parts))["files"].items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise Failure(f"{folder} cannot be written: {exc}") from None
    output.say(f"{project} is in {folder}")


def list_projects(as_json: AsJson = False) -> None:
    """List all projects with their versions in force."""
    output.rows(admin.ask("GET", ("projects",)), ("project", "version", "time", "operations"), as_json=as_json)
