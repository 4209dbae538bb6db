"""Entry point of the `weir` command.

In:    arguments.
Out:   an exit code.
Never: a command's work; the other files of this folder have it.
"""

import sys

import typer

from deploy.local.faults import LocalFault
from services.console.cli import (
    access,
    allowance,
    credentials,
    dlq,
    documents,
    example,
    executions,
    explain,
    local,
    logging,
    observe,
    projects,
    signals,
    stream,
    top,
    traces,
    usage,
)
from services.console.cli.failure import Failure


def application() -> typer.Typer:
    """The command with all groups."""
    app = typer.Typer(name="weir", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                      help="Turns workflows into a governed API, over Apache Kafka.")
    for group in (local, example, projects, access, credentials, executions, explain, signals, allowance, observe,
                  traces, top, logging, usage, stream, dlq, documents):
        group.register(app)
    return app


def main() -> None:
    """Run the command; whatever a person can mend is one sentence on standard error."""
    try:
        application()()
    except (Failure, LocalFault) as exc:
        print(f"weir: {exc}", file=sys.stderr)  # noqa: T201
        raise SystemExit(exc.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
