"""Commands on executions and on workflows that are stopped.

In:    a project, an execution or a workflow.
Out:   how executions stand.
Never: a secret: what an execution was called with is not shown.
"""

from typing import Annotated

import typer

from services.console.cli import admin, output
from services.console.cli.output import AsJson
from shared.names.headers import HTTP_LOOKED_AT

ProjectName = Annotated[str, typer.Argument(help="Name of the project.")]
ExecutionId = Annotated[str, typer.Argument(help="Id of the execution: that of its request.")]
WorkflowName = Annotated[str, typer.Argument(help="Name of the workflow.")]
_COLUMNS = ("execution", "operation", "client", "status", "accepted", "ended", "tasks", "steps")


def register(app: typer.Typer) -> None:
    """Add the groups."""
    group = typer.Typer(no_args_is_help=True, help="Executions whose result is kept: of durable workflows, and of "
                                                   "calls that are answered before they run.")
    group.command(name="list")(list_executions)
    group.command()(show)
    group.command()(cancel)
    group.command()(resume)
    app.add_typer(group, name="executions")
    workflows = typer.Typer(no_args_is_help=True, help="The kill switch of workflows.")
    workflows.command()(stop)
    workflows.command()(start)
    workflows.command()(stopped)
    app.add_typer(workflows, name="workflow")


def list_executions(project: ProjectName,
                    status: Annotated[str | None, typer.Option(help="accepted, running, waiting, succeeded, failed or "
                                                                    "cancelled.")] = None,
                    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100, as_json: AsJson = False) -> None:
    """List executions, newest first."""
    found, headers = admin.answer("GET", ("projects", project, "executions"),
                                  query={"status": status or None, "limit": limit})
    output.rows(found, _COLUMNS, as_json=as_json)
    if HTTP_LOOKED_AT in headers:
        told = f"the newest {headers[HTTP_LOOKED_AT]} were looked at; older ones may stand so, too"
        # whoever reads JSON from the output reads nothing else there
        typer.echo(told, err=True) if as_json else output.say(told)


def show(project: ProjectName, execution: ExecutionId) -> None:
    """Show how an execution stands, with its answer."""
    output.document(admin.ask("GET", ("projects", project, "executions", execution)))


def cancel(project: ProjectName, execution: ExecutionId) -> None:
    """End an execution that runs or waits; no step of it begins any more."""
    admin.ask("POST", ("projects", project, "executions", execution, "cancel"), {})
    output.say(f"execution {execution} ends within a second")


def resume(project: ProjectName, execution: ExecutionId) -> None:
    """Go on with a failed execution of a durable workflow, from its first unfinished step."""
    admin.ask("POST", ("projects", project, "executions", execution, "resume"), {})
    output.say(f"execution {execution} goes on; `weir executions show {project} {execution}` tells how it stands")


def stop(project: ProjectName, workflow: WorkflowName,
         reason: Annotated[str, typer.Option(help="Its callers read this.")] = "") -> None:
    """Stop a workflow: its runs end within a second, and none begins."""
    admin.ask("POST", ("projects", project, "workflows", workflow, "stop"), {"reason": reason})
    output.say(f"workflow {workflow} of {project} is stopped; `weir workflow start` lets it run again")


def start(project: ProjectName, workflow: WorkflowName) -> None:
    """Let a stopped workflow run again."""
    admin.ask("POST", ("projects", project, "workflows", workflow, "start"), {})
    output.say(f"workflow {workflow} of {project} runs again")


def stopped(project: ProjectName, as_json: AsJson = False) -> None:
    """List the stopped workflows of a project."""
    output.rows(admin.ask("GET", ("projects", project, "stopped-workflows")), ("workflow", "reason", "time"),
                as_json=as_json)
