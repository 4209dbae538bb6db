"""Commands on access: why a call passes or not, who may call what, what a draft would change.

In:    a call as it would come; a folder with a draft.
Out:   each check with what it saw; a matrix; differences.
Never: a change of anything.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from services.console.cli import admin, arguments, output
from services.console.cli.failure import Failure
from services.console.cli.output import AsJson
from services.console.cli.projects import read_folder

Project = Annotated[str, typer.Option(help="Name of the project.")]
Pairs = Annotated[list[str] | None, typer.Option(help="name=value; may be given several times.")]
_REPLAY_TIMEOUT_S = 1800


def register(app: typer.Typer) -> None:
    """Add the group."""
    access = typer.Typer(no_args_is_help=True, help="Who may call what, and why.")
    access.command(name="explain")(explain)
    access.command(name="matrix")(matrix)
    app.add_typer(access, name="access")
    app.command()(replay)


def explain(project: Project, operation: Annotated[str, typer.Option(help="Name of the operation.")],
            client: Annotated[str | None, typer.Option(help="Who calls; nobody without it.")] = None,
            ip: Annotated[str, typer.Option(help="The caller's address.")] = "",
            header: Annotated[list[str] | None, typer.Option(help="name: value; several times.")] = None,
            query: Pairs = None, param: Pairs = None,
            role: Annotated[list[str] | None, typer.Option(
                help="A role of the caller, in the place of those it has; several times.")] = None,
            claim: Annotated[list[str] | None, typer.Option(help="name=JSON of a claim of the caller's JWT.")] = None,
            body: Annotated[str | None, typer.Option(help="The body, or @file.")] = None,
            as_json: AsJson = False) -> None:
    """Show each check that a call would meet, with what it saw and why it passed or refused."""
    values: dict[str, list[str]] = {}
    for name, value in arguments.pairs(query, "--query"):
        values.setdefault(name, []).append(value)
    answer = admin.ask("POST", ("projects", project, "access", "explain"), {
        "operation": operation, "client": client, "roles": role, "ip": ip, "query": values,
        "headers": arguments.headers(header, "--header"),
        "params": dict(arguments.pairs(param, "--param")), "body": _body(body),
        "claims": {name: _json(value) for name, value in arguments.pairs(claim, "--claim")}})
    if as_json:
        output.document(answer)
        return
    output.rows(answer["checks"], ("check", "verdict", "saw", "why"), as_json=False)
    for note in answer["notes"]:
        output.say(f"note: {note}")
    if answer["observed"]:
        output.say(f"only observed: {', '.join(answer['observed'])}")
    decision = answer["decision"]
    output.say(f"=> {decision['status']} {decision['code']}: {admin.explain(decision, decision['status'])}")


def matrix(project: Project, as_json: AsJson = False) -> None:
    """Show who may call what, and with which limits."""
    cells = admin.ask("GET", ("projects", project, "access", "matrix"))
    if not as_json:
        cells = [{**cell, "client": _caller(cell)} for cell in cells]
    output.rows(cells, ("operation", "client", "may", "why", "limits"), as_json=as_json)


def replay(project: Project, draft: Annotated[Path, typer.Option(help="Folder with the draft.")],
           since: Annotated[str, typer.Option(help="How far back, as in 2h.")] = "1h", as_json: AsJson = False) -> None:
    """Run past requests through a draft, and list what it would change; nothing is counted or put in force."""
    since_ms = int(time.time() * 1000) - arguments.milliseconds(since, "--since")  # noqa: TID251
    answer = admin.ask("POST", ("projects", project, "replay"),
                       {"files": read_folder(draft), "since": max(since_ms, 0)}, _REPLAY_TIMEOUT_S)
    if as_json:
        output.document(answer)
        return
    output.say(f"{answer['requests']} requests since {since}: {answer['admitted_before']} admitted by the version in "
               f"force, {answer['admitted_after']} by the draft")
    if answer["cut"]:
        output.say("the topics hold more; WEIR_CONTROL_MAX_REPLAY_RECORDS bounds what is read")
    undecidable = answer["undecidable"]
    if undecidable:
        output.say(f"{sum(one['requests'] for one in undecidable)} of them cannot be decided: control has to be given "
                   "the keys and secrets that policy verifies their callers with; how long calls ran, which a "
                   "`concurrent` limit goes by, it does not know")
        output.rows(undecidable, ("operation", "why", "requests", "samples"), as_json=False)
    if answer["changes"]:
        output.rows(answer["changes"], ("change", "operation", "client", "before", "after", "requests", "samples"),
                    as_json=False)
    else:
        output.say(f"the draft changes nothing for {'the others' if undecidable else 'them'}")


def _caller(cell: Mapping[str, str]) -> str:
    return f"(JWT of {cell['issuer']})" if cell["issuer"] else cell["client"] or "(anybody)"


def _body(given: str | None) -> str | None:
    if given is None or not given.startswith("@"):
        return given
    try:
        # its bytes as they are: a text would lose the ends of its lines
        return Path(given[1:]).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise Failure(f"the body cannot be read: {exc}") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
