"""Commands on dead letters: records that could not be used.

In:    letters, by their ids.
Out:   what died and why; records sent again, letters put aside.
Never: all letters at once without a word: --all says it.
"""

import base64
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from services.console.cli import admin, arguments, output
from services.console.cli.failure import Failure
from services.console.cli.output import AsJson
from services.console.cli.terminal import one_line

Ids = Annotated[list[int] | None, typer.Argument(help="Ids of letters, as `weir dlq list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All that wait and fit the other options.")]
Project = Annotated[str | None, typer.Option(help="Of one project.")]
Service = Annotated[str | None, typer.Option(help="Of the service that could not use them.")]
Topic = Annotated[str | None, typer.Option(help="Of one topic.")]
Error = Annotated[str | None, typer.Option(help="Those whose error holds this text.")]
_SHOWN, _WIDTH, _MOST = 2_000, 16, 1_000


def register(app: typer.Typer) -> None:
    """Add the group."""
    dlq = typer.Typer(no_args_is_help=True, help="Records that could not be used.")
    dlq.command(name="list")(list_letters)
    dlq.command()(show)
    dlq.command()(replay)
    dlq.command()(drop)
    app.add_typer(dlq, name="dlq")


def list_letters(project: Project = None, service: Service = None, topic: Topic = None, error: Error = None,
                 state: Annotated[str, typer.Option(help="waiting, replayed, dropped or all.")] = "waiting",
                 limit: Annotated[int, typer.Option(help="How many, newest first.")] = 100,
                 as_json: AsJson = False) -> None:
    """List dead letters, newest first."""
    answer = _ask(limit, state=state, project=project, service=service, topic=topic, error=error)
    output.rows(answer["letters"], ("id", "time", "state", "service", "topic", "project", "operation", "request_id",
                                    "error"), as_json=as_json)
    if not as_json and answer["total"] > len(answer["letters"]):
        output.say(f"{answer['total']} in all; --limit shows more")
    _tell_of_older(answer)


def show(letter: Annotated[int, typer.Argument(help="Id of a letter.")],
         raw: Annotated[bool, typer.Option("--raw", help="Write the bytes, and nothing else.")] = False,
         as_json: AsJson = False) -> None:
    """Show a letter: the error, the history, the headers, the bytes."""
    found = admin.ask("GET", ("dead-letters", letter))
    value = base64.b64decode(found["value"] or "")
    if raw:
        sys.stdout.buffer.write(value)
        return
    if as_json:
        output.document(found)
        return
    for name in ("state", "place", "service", "project", "operation", "request_id", "error"):
        output.say(f"{name.replace('_', ' '):11} {one_line(str(found[name] or '-'))}")
    output.say("history")
    for event in found["history"]:
        at = datetime.fromtimestamp(event["time"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        output.say(one_line(f"  {at}  {event['what']} (letter {event['letter']})  {event['detail']}".rstrip()))
    output.say("headers")
    for key, text in found["headers"]:
        output.say(one_line(f"  {key}: {text[:_SHOWN]}"))
    if not found["kept"]:
        output.say("the record is not there any more, or no client can read it")
        return
    output.say(f"value, {len(value)} bytes" + (f", the first {_SHOWN}" if len(value) > _SHOWN else ""))
    output.say(_readable(value[:_SHOWN]))


def replay(letters: Ids = None, every: All = False, project: Project = None, service: Service = None,
           topic: Topic = None, error: Error = None,
           timeout: Annotated[str, typer.Option(help="The new deadline, as in 60s.")] = "60s",
           answer: Annotated[bool, typer.Option(help="Send the answer where the caller asked for it.")] = True,
           again: Annotated[bool, typer.Option("--again", help="Although it was replayed or dropped.")] = False,
           as_json: AsJson = False) -> None:
    """Send records again, on the topics that they came from, with their request ids."""
    body = {"timeout_s": arguments.seconds(timeout, "--timeout"), "answer": answer, "again": again}
    _each(_chosen(letters, every, project=project, service=service, topic=topic, error=error),
          lambda one: admin.ask("POST", ("dead-letters", one, "replay"), body), as_json=as_json)


def drop(letters: Ids = None, every: All = False, project: Project = None, service: Service = None,
         topic: Topic = None, error: Error = None, as_json: AsJson = False) -> None:
    """Put letters aside; their bytes stay as long as the topic keeps them."""
    _each(_chosen(letters, every, project=project, service=service, topic=topic, error=error),
          lambda one: admin.ask("DELETE", ("dead-letters", one)), as_json=as_json)


def _chosen(letters: list[int] | None, every: bool, **filters: str | None) -> list[int]:
    """Oldest first, so that records come again in their old order."""
    if bool(letters) == every:
        raise Failure("say which letters: their ids, or --all (with --project, --service, --topic, --error)")
    if letters:
        return letters
    answer = _ask(_MOST, state="waiting", **filters)
    if answer["total"] > _MOST:
        typer.echo(f"{answer['total']} wait; these are the newest {_MOST}, the same command again takes more", err=True)
    _tell_of_older(answer)
    return sorted(int(letter["id"]) for letter in answer["letters"])


def _tell_of_older(answer: Any) -> None:
    """Whoever has replayed all that is listed has not replayed those."""
    if answer.get("older"):
        typer.echo(f"{answer['older']} older letters are not among these: they stand in the topic, and control knows "
                   "as many as WEIR_CONTROL_MAX_LETTERS says", err=True)


def _each(letters: list[int], act: Callable[[int], Any], *, as_json: bool) -> None:
    """One that is refused keeps no other from being done; what was done is told in any case. Raises Failure."""
    done, refused = [], []
    try:
        for one in letters:
            try:
                done.append(act(one))
            except admin.Refused as exc:
                refused.append(f"letter {one}: {exc}")
    finally:
        _tell(done, letters, as_json=as_json)
    if refused:
        raise Failure("\n".join(refused))


def _ask(limit: int, **filters: str | None) -> Any:
    return admin.ask("GET", ("dead-letters",),
                     query={"limit": limit, **{name: text or None for name, text in filters.items()}})


def _tell(done: list[Any], letters: list[int], *, as_json: bool) -> None:
    if as_json:
        output.document(done)
        return
    for letter in done:
        output.say(f"letter {letter['id']} {letter['state']}, request id {one_line(letter['request_id'] or '-')}")
    if not letters:
        output.say("no letter waits")


def _readable(value: bytes) -> str:
    """Text where it is text; bytes as numbers and characters where it is not."""
    text = value.decode(errors="ignore")
    if value and len(text.encode()) >= len(value) - 3 and all(one.isprintable() or one in "\r\n\t" for one in text):
        return text
    return "\n".join(f"{at:06x}  {chunk.hex(' '):{3 * _WIDTH - 1}}  "
                     + "".join(chr(byte) if 32 <= byte < 127 else "." for byte in chunk)
                     for at in range(0, len(value), _WIDTH) if (chunk := value[at:at + _WIDTH]))
