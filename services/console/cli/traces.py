"""Commands on traces: one, and those that are worth a look.

In:    an id; what to look for.
Out:   a waterfall; a listing.
Never: a change.
"""

import time
from typing import Annotated

import typer

from services.console.cli import admin, arguments, output
from services.console.cli.output import AsJson
from services.console.cli.waterfall import LEGEND, summary, waterfall

_COLUMNS = ("time", "request_id", "project", "operation", "client", "status", "reason", "duration_ms", "late")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(trace)
    app.command()(traces)


def trace(request_id: Annotated[str, typer.Argument(help="Request id (X-Request-Id) or trace id.")],
          as_json: AsJson = False) -> None:
    """Show one request's way through the cluster, and what it has waited for."""
    answer = admin.ask("GET", ("traces", request_id))
    if as_json:
        output.document(answer)
        return
    rows = answer["spans"]
    late = any(span["attributes"].get("weir.late") for span in rows)
    output.say(f"trace {answer['trace_id']}" + ("  (made afterwards, from the times of its hops)" if late else ""))
    for line in waterfall(rows):
        output.styled(line)
    for span in answer["linked"]:
        output.styled([(f"   later: {span['service']} {span['name']}, "
                        f"{(span['end_us'] - span['start_us']) / 1000:.2f} ms", "dim")])
    output.styled([(LEGEND, "dim")])
    for line in summary(rows):
        output.styled(line)


def traces(project: Annotated[str | None, typer.Option(help="Of one project.")] = None,
           operation: Annotated[str | None, typer.Option(help="Of one operation.")] = None,
           client: Annotated[str | None, typer.Option(help="Of one client.")] = None,
           status: Annotated[str | None, typer.Option(help="With a status, as in 502 or 5xx.")] = None,
           errors: Annotated[bool, typer.Option("--errors", help="Those that failed.")] = False,
           slow: Annotated[bool, typer.Option("--slow", help="The slowest first.")] = False,
           longer: Annotated[str | None, typer.Option(help="That took longer, as in 500ms.")] = None,
           since: Annotated[str, typer.Option(help="How far back, as in 15m.")] = "1h",
           limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 20,
           as_json: AsJson = False) -> None:
    """List requests that have a trace: sampled ones, and all that failed or were slow."""
    back_ms = arguments.milliseconds(since, "--since")
    query = {"project": project, "operation": operation, "client": client, "status": status,
             "errors": "true" if errors else None, "order": "slowest" if slow else "newest", "limit": limit,
             "min_ms": None if longer is None else arguments.milliseconds(longer, "--longer"),
             "since": max(0, time.time_ns() // 1_000_000 - back_ms)}
    answer = admin.ask("GET", ("traces",), query=query)
    output.rows(answer["traces"], _COLUMNS, as_json=as_json)
