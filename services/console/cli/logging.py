"""Commands on logs: how much services tell.

In:    a service, a level.
Out:   the levels in force.
Never: a level without an end.
"""

from typing import Annotated

import typer

from services.console.cli import admin, arguments, output
from services.console.cli.output import AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="log-level")(log_level)


def log_level(service: Annotated[str | None, typer.Argument(help="Which one, or * for all; none lists.")] = None,
              level: Annotated[str, typer.Argument(help="debug, info, warning or error.")] = "debug",
              duration: Annotated[str, typer.Option("--for", help="How long, as in 15m; at most a day.")] = "15m",
              as_json: AsJson = False) -> None:
    """Let a service's log tell more, or less, for a while; without a service, show what is changed."""
    if service is None:
        output.rows(admin.ask("GET", ("log-levels",)), ("name", "level", "until"), as_json=as_json)
        return
    answer = admin.ask("PUT", ("log-levels", service),
                       {"level": level, "for_s": arguments.seconds(duration, "--for")})
    if as_json:
        output.document(answer)
    else:
        output.say(f"{service}: {answer['level']} for {duration}")
