"""The commands of `weir`, by the files that have them.

In:    the words of a command line.
Out:   the application that knows them.
Never: a command's work; the other files of this folder have it.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer

# file -> the commands and groups that it adds. Loading all of them takes longer than what most of them do
COMMANDS = {
    "local": ("up", "scale", "down", "status", "doctor"),
    "example": ("example",),
    "projects": ("validate", "apply", "diff", "versions", "rollback", "remove", "export", "projects"),
    "access": ("client", "token"),
    "credentials": ("credential",),
    "executions": ("executions", "workflow"),
    "explain": ("replay", "access"),
    "signals": ("signals",),
    "allowance": ("allowance",),
    "observe": ("call",),
    "traces": ("trace", "traces"),
    "top": ("top",),
    "logging": ("log-level",),
    "usage": ("usage",),
    "stream": ("tail", "sink"),
    "dlq": ("dlq",),
    "documents": ("openapi", "asyncapi", "schema"),
}


def application(words: Iterable[str] = ()) -> typer.Typer:
    """The command: with the files that know one of these words, or with all where none does."""
    app = typer.Typer(name="weir", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                      help="Turns workflows into a governed API, over Apache Kafka.")
    # with a callback a single command keeps its name
    app.callback()(_whole)
    first = next((word for word in words if not word.startswith("-")), "")
    for file in [file for file, names in COMMANDS.items() if first in names] or COMMANDS:
        import_module(f"services.console.cli.{file}").register(app)
    return app


def _say_version(wanted: bool) -> None:
    if wanted:
        print(version("weir"))  # noqa: T201
        raise typer.Exit


def _whole(*, _: Annotated[bool, typer.Option("--version", is_eager=True, callback=_say_version,
                                              help="Print the version and exit.")] = False) -> None:
    """What goes for all commands."""
