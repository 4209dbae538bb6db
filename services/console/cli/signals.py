"""Commands on signals: who is blocked or throttled.

In:    a project, a subject.
Out:   the signals in force; a block that is made or lifted.
Never: a block without an end.
"""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.console.cli import admin, arguments, output
from services.console.cli.failure import Failure
from services.console.cli.output import AsJson

Project = Annotated[str, typer.Argument(help="Name of the project, or * for all.")]
Client = Annotated[str | None, typer.Option(help="A client, by name.")]
Ip = Annotated[str | None, typer.Option(help="An address.")]
TokenId = Annotated[str | None, typer.Option("--token", help="A token, by its id.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    signals = typer.Typer(no_args_is_help=True, help="Who is blocked or throttled.")
    signals.command(name="list")(list_signals)
    signals.command(name="block")(block)
    signals.command(name="lift")(lift)
    app.add_typer(signals, name="signals")


def list_signals(project: Project, as_json: AsJson = False) -> None:
    """List the signals in force."""
    output.rows(admin.ask("GET", f"/projects/{quote(project)}/signals"),
                ("kind", "subject", "action", "until", "detector", "reason", "rate"), as_json=as_json)


def block(project: Project, client: Client = None, ip: Ip = None, token: TokenId = None,
          duration: Annotated[str, typer.Option("--for", help="How long, as in 1h; at most six days.")] = "1h",
          throttle: Annotated[int | None, typer.Option(help="Let so many calls a minute through.")] = None,
          reason: Annotated[str, typer.Option(help="The caller reads it.")] = "", as_json: AsJson = False) -> None:
    """Block a client, an address or a token; in force at the edge within a second."""
    kind, subject = _subject(client, ip, token)
    body: dict[str, Any] = {"kind": kind, "subject": subject, "for_s": arguments.seconds(duration, "--for"),
                            "reason": reason}
    if throttle is not None:
        body |= {"action": "throttle", "rate": throttle}
    answer = admin.ask("POST", f"/projects/{quote(project)}/signals", body)
    if as_json:
        output.document(answer)
    else:
        output.say(f"{kind} {subject}: {answer['action']} for {duration}; `weir signals lift` ends it before")


def lift(project: Project, client: Client = None, ip: Ip = None, token: TokenId = None,
         as_json: AsJson = False) -> None:
    """Let a client, an address or a token in again."""
    kind, subject = _subject(client, ip, token)
    answer = admin.ask("DELETE", f"/projects/{quote(project)}/signals/{kind}/{quote(subject, safe='')}")
    if as_json:
        output.document(answer)
    else:
        output.say(f"{kind} {subject} is let in again")


def _subject(client: str | None, ip: str | None, token: str | None) -> tuple[str, str]:
    named = [(kind, subject) for kind, subject in (("client", client), ("ip", ip), ("token", token)) if subject]
    if len(named) != 1:
        raise Failure("say who: one of --client, --ip, --token")
    return named[0]
