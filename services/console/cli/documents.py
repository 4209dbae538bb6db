"""Commands that print documents: openapi, asyncapi, schema.

In:    a project's name or folder.
Out:   JSON on standard output.
Never: a document written anywhere else.
"""

from pathlib import Path
from typing import Annotated

import typer

from services.console.cli import admin, output
from services.console.cli.failure import Failure
from services.console.cli.projects import read_folder
from shared.project.load import load_project
from shared.project.openapi import openapi as describe
from shared.project.schema import project_schema


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(openapi)
    app.command()(asyncapi)
    app.command()(schema)


def openapi(project: Annotated[str, typer.Argument(help="Name of a project in force, or a folder.")]) -> None:
    """Print a project's OpenAPI 3.1 description."""
    if not _is_folder(project):
        output.document(admin.ask("GET", ("projects", project, "openapi.json")))
        return
    loaded = load_project(read_folder(Path(project)))
    if loaded.project is None:
        raise Failure(f"the project has {len(loaded.problems)} problems; `weir validate {project}` lists them")
    output.document(describe(loaded.project, f"/{loaded.project.name}"))


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:
        # too long for one, or below one that is closed to us
        return False


def asyncapi() -> None:
    """Print the AsyncAPI 3.0 description of the topics."""
    output.document(admin.ask("GET", ("asyncapi.json",)))


def schema() -> None:
    """Print the JSON Schema of the project format, for editors."""
    output.document(project_schema())
