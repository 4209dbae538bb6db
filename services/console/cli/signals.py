"""Commands on signals: who is blocked or throttled.

In:    a project, a subject.
Out:   the signals in force, one with its evidence; a block that is made, pinned or lifted.
Never: a word of who is let in again before it is.
"""

from typing import Annotated, Any

import typer

from services.console.cli import admin, arguments, output
from services.console.cli.failure import Failure
from services.console.cli.output import AsJson

Project = Annotated[str, typer.Argument(help="Name of the project, or * for all.")]
Client = Annotated[str | None, typer.Option(help="A client, by name.")]
Ip = Annotated[str | None, typer.Option(help="An address, or an IPv6 network of 64 bits.")]
TokenId = Annotated[str | None, typer.Option("--token", help="A token, by its id.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    signals = typer.Typer(no_args_is_help=True, help="Who is blocked or throttled.")
    signals.command(name="list")(list_signals)
    signals.command(name="show")(show)
    signals.command(name="block")(block)
    signals.command(name="pin")(pin)
    signals.command(name="lift")(lift)
    app.add_typer(signals, name="signals")


def list_signals(project: Project, as_json: AsJson = False) -> None:
    """List the signals in force."""
    found = admin.ask("GET", ("projects", project, "signals"))
    shown = found if as_json else [{**signal, "ends": _ends(signal)} for signal in found]
    output.rows(shown, ("project", "kind", "subject", "action", "ends", "detector", "reason", "rate"), as_json=as_json)


def show(project: Project, client: Client = None, ip: Ip = None, token: TokenId = None,
         as_json: AsJson = False) -> None:
    """Show a signal with its evidence: what was counted, and the ids of some of the requests."""
    kind, subject = _subject(client, ip, token)
    signal = admin.ask("GET", _path(project, kind, subject))
    if as_json:
        output.document(signal)
        return
    output.say(f"{kind} {signal['subject']}: {signal['action']} in {signal['project']}, {_ends(signal)}")
    version = f" (version {signal['version']})" if signal["version"] else ""
    output.say(f"by {signal['detector']}{version} at {output.moment(signal['time'])}"
               + (f": {signal['reason']}" if signal["reason"] else ""))
    for name, value in signal["evidence"].items():
        output.say(f"  {name.replace('_', ' ')}: {', '.join(value) if isinstance(value, list) else value}")


def block(project: Project, client: Client = None, ip: Ip = None, token: TokenId = None,
          duration: Annotated[str, typer.Option("--for", help="How long, as in 1h.")] = "1h",
          until_lifted: Annotated[bool, typer.Option("--pin", help="Until it is lifted by hand.")] = False,
          throttle: Annotated[int | None, typer.Option(help="Let so many calls a minute through.")] = None,
          reason: Annotated[str, typer.Option(help="The caller reads it.")] = "", as_json: AsJson = False) -> None:
    """Block a client, an address or a token; in force at the edge within a second."""
    kind, subject = _subject(client, ip, token)
    body: dict[str, Any] = {"kind": kind, "subject": subject, "for_s": arguments.seconds(duration, "--for"),
                            "reason": reason, "pin": until_lifted}
    if throttle is not None:
        body |= {"action": "throttle", "rate": throttle}
    answer = admin.ask("POST", ("projects", project, "signals"), body)
    if as_json:
        output.document(answer)
    else:
        lasts = "until it is lifted" if until_lifted else f"for {duration}; `weir signals lift` ends it before"
        output.say(f"{kind} {subject}: {answer['action']} {lasts}")


def pin(project: Project, client: Client = None, ip: Ip = None, token: TokenId = None, as_json: AsJson = False) -> None:
    """Keep a signal in force until it is lifted by hand."""
    kind, subject = _subject(client, ip, token)
    answer = admin.ask("POST", (*_path(project, kind, subject), "pin"))
    if as_json:
        output.document(answer)
    else:
        output.say(f"{kind} {subject}: {answer['action']} until it is lifted")


def lift(project: Project, client: Client = None, ip: Ip = None, token: TokenId = None,
         as_json: AsJson = False) -> None:
    """Let a client, an address or a token in again; detectors begin anew with it."""
    kind, subject = _subject(client, ip, token)
    answer = admin.ask("DELETE", _path(project, kind, subject))
    if as_json:
        output.document(answer)
    else:
        output.say(f"{kind} {subject} is let in again")


def _path(project: str, kind: str, subject: str) -> admin.Parts:
    return "projects", project, "signals", kind, subject


def _ends(signal: dict[str, Any]) -> str:
    return "until it is lifted" if signal["pinned"] else f"until {output.moment(signal['until'])}"


def _subject(client: str | None, ip: str | None, token: str | None) -> tuple[str, str]:
    named = [(kind, subject) for kind, subject in (("client", client), ("ip", ip), ("token", token)) if subject]
    if len(named) != 1:
        raise Failure("say who: one of --client, --ip, --token")
    return named[0]
