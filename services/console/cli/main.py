"""Entry point of the `weir` command.

In:    arguments.
Out:   an exit code.
Never: a command's work; the other files of this folder have it.
"""

import errno
import logging
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from deploy.local.faults import LocalFault
from services.console.cli.failure import Failure
from services.console.cli.terminal import harmless

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


def _say_version(wanted: bool) -> None:
    if wanted:
        print(version("weir"))  # noqa: T201
        raise typer.Exit


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


def _whole(*, _: Annotated[bool, typer.Option("--version", is_eager=True, callback=_say_version,
                                              help="Print the version and exit.")] = False) -> None:
    """What goes for all commands."""


def _open_what_is_closed() -> None:
    """As `weir apply folder >&-` does it: Python has None for such a stream, and the next socket takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def main() -> None:
    """Run the command; whatever a person can mend is one sentence on standard error."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # a terminal that has no character for a bar of a trace shows another one
            stream.reconfigure(errors="replace")
    # what libraries log, some thirty lines a second while a broker is away, is said at the end in one sentence
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        application(sys.argv[1:])()
    except (Failure, LocalFault) as exc:
        print(harmless(f"weir: {exc}"), file=sys.stderr)  # noqa: T201
        raise SystemExit(exc.exit_code) from None
    except ValueError as exc:
        # loaded here alone: most commands need nothing of it
        told = import_module("shared.settings.wrong").told(exc, os.environ)
        if told is None:
            raise
        print(f"weir: {told}", file=sys.stderr)  # noqa: T201
        raise SystemExit(Failure.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EIO):
            raise
        print(f"weir: the output cannot be written: {exc.strerror}", file=sys.stderr)  # noqa: T201
        raise SystemExit(Failure.exit_code) from None


if __name__ == "__main__":
    main()
