"""Commands on the stream of usage events: follow it, hand it on.

In:    filters, a webhook's address, a folder.
Out:   events on the terminal; a sink that runs until Ctrl-C.
Never: the admin API: the stream is Kafka's, and so is the right to read it.
"""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from services.console.cli import arguments
from services.console.cli.failure import Failure
from services.console.cli.terminal import in_json, one_line
from shared.contracts.codec import header_map
from shared.contracts.usage import Envelope, UsageEvent
from shared.contracts.usage_filter import Where, event_fits, parse
from shared.errors import BadRecord, WeirError
from shared.kafka.span import SpanReader
from shared.names import topics
from shared.settings.kafka import KafkaSettings

Filters = Annotated[list[str] | None, typer.Option(
    "--where", help="dimension=value, or =value,value; `*`, `?` and 5xx work. Several must all hold.")]
Name = Annotated[str, typer.Option(help="Tells sinks apart; each goes on where one of its name has stopped.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(tail)
    sink = typer.Typer(no_args_is_help=True, help="Hand usage events to other systems, until Ctrl-C.")
    sink.command()(webhook)
    sink.command()(parquet)
    app.add_typer(sink, name="sink")


def tail(where: Filters = None,
         kind: Annotated[str | None, typer.Option(help="request or delivery; default: both.")] = None,
         since: Annotated[str, typer.Option(help="Begin so far back, as in 10m.")] = "0s",
         count: Annotated[int, typer.Option(help="End after so many events; 0 has no end.")] = 0,
         follow: Annotated[bool, typer.Option(help="Wait for more when all has been shown.")] = True,
         as_json: Annotated[bool, typer.Option("--json", help="Events as they are on the topic, one a line.")] = False,
         ) -> None:
    """Show usage events as they come (WEIR_KAFKA_BOOTSTRAP names the broker)."""
    if kind not in (None, "request", "delivery"):
        raise typer.BadParameter("request or delivery", param_hint="--kind")
    wanted = _where(where)
    back_ms = arguments.milliseconds(since, "--since")

    def keep(event: UsageEvent) -> bool:
        return kind in (None, event.kind) and event_fits(wanted, event)

    def show(event: UsageEvent) -> None:
        typer.echo(in_json(msgspec.json.encode(event).decode()) if as_json else one_line(_line(event)))
    try:
        asyncio.run(_tail(keep, show, back_ms, count, follow=follow))
    except WeirError as exc:
        raise Failure(str(exc)) from None


async def _tail(keep: Any, show: Any, back_ms: int, count: int, *, follow: bool) -> None:
    reader = SpanReader(KafkaSettings(bootstrap=bootstrap()), topics.USAGE)
    await reader.start()
    shown = 0
    try:
        ends = await reader.ends()
        starts = await reader.at(max(0, time.time_ns() // 1_000_000 - back_ms)) if back_ms else ends
        async for records in reader.read(starts, None if follow else ends):
            for record in records:
                try:
                    events = Envelope.from_record(record.value, header_map(record.headers)).events
                except BadRecord as exc:
                    typer.echo(one_line(f"{record.topic}/{record.partition}/{record.offset} is no envelope: {exc}"),
                               err=True)
                    continue
                for event in filter(keep, events):
                    show(event)
                    shown += 1
                    if shown == count:
                        return
    finally:
        await reader.stop()


def webhook(url: Annotated[str, typer.Argument(help="Where batches of CloudEvents are posted.")],
            name: Name = "default",
            secret_file: Annotated[Path | None, typer.Option(
                help="A file with the secret, whsec_...; default: WEIR_SINK_SECRET.")] = None,
            where: Filters = None) -> None:
    """Post events to a webhook: CloudEvents 1.0 in batches, signed by Standard Webhooks, again until it takes them."""
    secret = {}
    if secret_file is not None:
        try:
            secret = {"WEIR_SINK_SECRET": secret_file.read_text().strip()}
        except OSError as exc:
            raise Failure(f"--secret-file {secret_file}: {exc.strerror}") from None
    _run(name, where, {"WEIR_SINK_KIND": "webhook", "WEIR_SINK_URL": url, **secret})


def parquet(folder: Annotated[Path, typer.Argument(help="Where the files go.")], name: Name = "default",
            where: Filters = None,
            once: Annotated[bool, typer.Option(help="Write what is there now, then end.")] = False) -> None:
    """Write events to Parquet files, by date and hour, each event once."""
    _run(name, where, {"WEIR_SINK_KIND": "parquet", "WEIR_SINK_FOLDER": str(folder),
                       "WEIR_SINK_ONCE": "true" if once else "false"})


def bootstrap() -> str:
    """The broker of WEIR_KAFKA_BOOTSTRAP, or this machine's."""
    port = os.environ.get("WEIR_KAFKA_PORT") or "9092"
    return os.environ.get("WEIR_KAFKA_BOOTSTRAP") or f"127.0.0.1:{port}"


def _run(name: str, where: list[str] | None, settings: dict[str, str]) -> None:
    """Become the sink."""
    os.environ.update({**settings, "WEIR_SINK_NAME": name, "WEIR_KAFKA_BOOTSTRAP": bootstrap(),
                       "WEIR_SINK_WHERE": msgspec.json.encode(_where(where)).decode()})
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "services.sinks"])


def _where(texts: list[str] | None) -> Where:
    try:
        return parse(texts or ())
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--where") from None


def _line(event: UsageEvent) -> str:
    at = datetime.fromtimestamp(event.time / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    micros = sum(event.timing.values())
    return (f"{at} {event.status} {event.reason} {event.project}/{event.operation or '-'} "
            f"client={event.client or '-'} {event.source} tasks={event.tasks} in={event.bytes_in} "
            f"out={event.bytes_out} {micros / 1000:.1f}ms {event.id}{'' if event.kind == 'request' else ' (delivery)'}")
