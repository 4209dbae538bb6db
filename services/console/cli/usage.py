"""Commands about usage: who called what, from where, with which volume; whether the counters are right.

In:    a project, a range, dimensions.
Out:   a table, CSV, JSON; a live table.
Never: a change.
"""

import time
from typing import Annotated, Any

import typer
from rich.live import Live
from typer.core import TyperGroup

from services.console.cli import admin, allowance, arguments, output
from services.console.cli.output import AsJson
from shared.contracts.query import DIMENSIONS, MEASURES, columns, to_csv
from shared.contracts.usage_filter import parse

Project = Annotated[str | None, typer.Argument(help="Name of the project; default: all of them.")]
Since = Annotated[str, typer.Option(help="Where the range begins: how far back, as in 1h, or a date: 2026-11-01.")]
Until = Annotated[str | None, typer.Option(help="Where the range ends, in the same form; default: now.")]
_VERIFY_S = 310



class _Group(TyperGroup):
    """`weir usage PROJECT` is `weir usage show PROJECT`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names, or `show`."""
        if not args or args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Options belong to `show` where no command is named."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=_Group, help="Usage: who called what, from where, with which volume.")
    group.command()(show)
    group.command()(verify)
    group.command(name="allowance")(allowance.show)
    app.add_typer(group, name="usage")


def show(project: Project = None, since: Since = "24h", until: Until = None,
         by: Annotated[str | None, typer.Option(help=f"Dimensions to keep apart: {', '.join(DIMENSIONS)}.")] = None,
         where: Annotated[list[str] | None, typer.Option(
             help="dimension=value, or =value,value; `*`, `?` and 5xx work. Several must all hold.")] = None,
         per: Annotated[str | None, typer.Option(help="A row for each minute, hour, day or month (UTC).")] = None,
         top: Annotated[int, typer.Option(help="So many groups at most.")] = 1_000,
         order: Annotated[str, typer.Option(help=f"By which measure: {', '.join(MEASURES)}.")] = "requests",
         compare: Annotated[bool, typer.Option(help="Beside the range of the same length before.")] = False,
         live: Annotated[bool, typer.Option(help="Look again each second, until Ctrl-C.")] = False,
         rounds: Annotated[int, typer.Option("--rounds", help="With --live: so many looks; 0 has no end.")] = 0,
         as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False, as_json: AsJson = False) -> None:
    """Show what has been used (the default command)."""
    if as_csv and compare:
        raise typer.BadParameter("CSV has no room for the range before; take --json", param_hint="--compare")
    if per and compare and not as_json:
        raise typer.BadParameter("the range before stands beside the whole one, not beside each time of --per; "
                                 "leave one of both out", param_hint="--compare")
    by = by if by is not None else "project" if project is None else "operation,client,status"
    wanted = {"by": by, "top": str(top), "order": order, "compare": "true" if compare else "false",
              **({"per": per} if per else {}), **_where(where)}

    def ask() -> Any:
        return admin.ask("GET", _path(project), query={**wanted, **_range(since, until)})
    names = columns([name for name in by.split(",") if name], per=per is not None)
    if live:
        _live(ask, names, rounds)
        return
    answer = ask()
    if as_csv:
        typer.echo(to_csv(answer["rows"], names), nl=False)
    elif as_json:
        output.document(answer if compare else answer["rows"])
    else:
        output.show(_table(answer, names))


def verify(project: Project = None, since: Since = "1h", until: Until = None, as_json: AsJson = False) -> None:
    """Count a range again, from the topic, and compare with the counters; fails where they differ."""
    answer = admin.ask("GET", (*_path(project), "verify"), query=_range(since, until), timeout_s=_VERIFY_S)
    if as_json:
        output.document(answer)
    else:
        shown = ("requests", "tasks", "bytes_in", "bytes_out", "late")
        output.rows([{"": what, **answer[what]} for what in ("counted", "recounted")], ["", *shown], as_json=False)
        output.say(f"difference {answer['difference']}; {answer['events_read']} events read, "
                   f"{answer['repeated_events']} of them repeats; {answer['repeated_requests']} requests came twice")
        if not answer["difference"] and any(answer["counted"][one] != answer["recounted"][one] for one in shown):
            output.say("the rows are not the same, and no counter is wrong: of a request that came twice, and ended in "
                       "two ways, either end may be the one that is counted")
        if answer["first_ms"] is not None:
            output.say("the topic keeps only what is younger than the range's start: older counters cannot be checked")
        if answer["differences"]:
            output.rows(answer["differences"], ["time", "project", *DIMENSIONS[1:], "measure", "counted", "recounted"],
                        as_json=False)
        output.say("; ".join(f"{name.replace('_', ' ')}: {count}" for name, count in answer["stream"].items()))
    if answer["difference"]:
        raise typer.Exit(1)


def _path(project: str | None) -> admin.Parts:
    return ("usage",) if project is None else ("projects", project, "usage")


def _range(since: str, until: str | None) -> dict[str, int]:
    now_ms = time.time_ns() // 1_000_000
    return {"since": arguments.moment(since, "--since", now_ms),
            "until": now_ms + 60_000 if until is None else arguments.moment(until, "--until", now_ms)}


def _where(texts: list[str] | None) -> dict[str, str]:
    try:
        return {name: ",".join(values) for name, values in parse(texts or ()).items()}
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--where") from None


def _table(answer: Any, names: list[str], *, live: bool = False) -> Any:
    rows = [_changed(row) for row in answer["rows"]]
    if answer["before"] is not None:
        names = [part for name in names for part in ((name, f"{name}_before") if name in ("requests", "tasks")
                                                     else (name,))]
    if len(rows) > 1 and "time" not in names:
        rows.append(_changed({**answer["total"], "before": answer["before"], names[0]: "all"}))
    return output.table(rows, [name.removesuffix("_us") for name in names], live=live)


def _changed(row: dict[str, Any]) -> dict[str, Any]:
    before = row.get("before") or {}
    shown = {**row, **{f"{name}_before": before.get(name) for name in ("requests", "tasks")}}
    return {name.removesuffix("_us"): f"{value / 1000:.1f} ms" if name.endswith("_us") and value is not None else value
            for name, value in shown.items()}


def _live(ask: Any, names: list[str], rounds: int) -> None:
    with Live(console=output.console, auto_refresh=False) as live:
        looked = 0
        while True:
            live.update(_table(ask(), names, live=True), refresh=True)
            looked += 1
            if looked == rounds:
                return
            time.sleep(1)
