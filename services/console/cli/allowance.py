"""Commands on allowances: what is left, letting more be spent.

In:    a project, whose amount.
Out:   a row per amount.
Never: a change beyond the period that is now; that is written in weir.yaml.
"""

from typing import Annotated, Any

import typer

from services.console.cli import admin, output
from services.console.cli.output import AsJson

ProjectName = Annotated[str, typer.Argument(help="Name of the project.")]
AllowanceName = Annotated[str | None, typer.Option("--name", help="Name of the allowance, if there are several.")]
Client = Annotated[str | None, typer.Option(help="Whose amount; each client's without it.")]
Operation = Annotated[str | None, typer.Option(help="Which operation's amount; each one's without it.")]
_COLUMNS = ("allowance", "client", "operation", "tasks", "spent", "left", "percent", "at_limit", "until", "today",
            "spent_on")


def register(app: typer.Typer) -> None:
    """Add the group."""
    allowance = typer.Typer(no_args_is_help=True, help="Tasks that a project may spend in a period.")
    allowance.command(name="show")(show)
    # else a negative number would be taken for an option
    allowance.command(name="raise", context_settings={"ignore_unknown_options": True})(raise_)
    allowance.command(name="reset")(reset)
    app.add_typer(allowance, name="allowance")


def show(project: ProjectName, last: Annotated[bool, typer.Option("--last", help="The period before.")] = False,
         as_json: AsJson = False) -> None:
    """Show what is spent and left, and the day on which all will be spent if today goes on as it began."""
    rows = admin.ask("GET", ("projects", project, "allowance"), query={"last": "true" if last else None})
    if not rows and not as_json:
        output.say(f"project {project} has no allowance, or nobody has spent from it; weir.yaml sets one")
        return
    output.rows(rows, _COLUMNS, as_json=as_json)


def raise_(project: ProjectName, by: Annotated[int, typer.Argument(help="Tasks more; fewer if negative.")],
           name: AllowanceName = None, client: Client = None, operation: Operation = None,
           as_json: AsJson = False) -> None:
    """Let more be spent until the period ends; in force within a second."""
    _change("raise", project, {"by": by, "name": name, "client": client, "operation": operation}, as_json=as_json)


def reset(project: ProjectName, name: AllowanceName = None, client: Client = None, operation: Operation = None,
          as_json: AsJson = False) -> None:
    """Begin again from nothing spent; in force within a second."""
    _change("reset", project, {"name": name, "client": client, "operation": operation}, as_json=as_json)


def _change(what: str, project: str, body: dict[str, Any], *, as_json: bool) -> None:
    output.rows(admin.ask("POST", ("projects", project, "allowance", what), body), _COLUMNS, as_json=as_json)
