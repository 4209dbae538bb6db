"""The command that shows the cluster at work, again and again.

In:    the metrics of every process of the local cluster.
Out:   what the processes are and do; hops and operations, live.
Never: a process that is asked more than once a second.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from deploy.local import cluster
from deploy.local.state import ClusterState, ProcessState
from services.console.cli import arguments, output
from services.console.cli.failure import Failure
from services.console.cli.figures import Reading, Span, hop_rows, operation_rows
from services.console.cli.output import AsJson
from shared.runtime.health import METRICS, READY

_TIMEOUT_S = 3
_LEAST_S = 1.0
_HOPS = ("hop", "processes", "per_s", "queue_p99_ms", "work_p99_ms", "in_flight", "lag", "oldest_s")
_OPERATIONS = ("project", "operation", "per_s", "p99_ms", "4xx_per_s", "5xx_per_s")
_MOST = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(top)


def top(every: Annotated[str, typer.Option(help="Between two looks, as in 2s.")] = "2s",
        times: Annotated[int | None, typer.Option(help="End after so many looks; where the output is not a terminal: "
                                                  "one.", min=1)] = None,
        as_json: AsJson = False) -> None:
    """Show hops and operations at work: rates, p99, errors, lag. Ctrl-C ends it."""
    pause_s = max(_LEAST_S, arguments.milliseconds(every, "--every") / 1000)
    terminal = output.console.is_terminal and not as_json
    left = times if times is not None else None if terminal else 1
    asyncio.run(_show(pause_s, left, live=terminal, as_json=as_json))


async def _show(pause_s: float, left: int | None, *, live: bool, as_json: bool) -> None:
    before = await read_all(_running())
    with Live(console=output.console, auto_refresh=False, screen=False) if live else _Still() as screen:
        while left is None or left > 0:
            await asyncio.sleep(pause_s)
            # `weir scale` may have changed which processes there are
            after = await read_all(_running())
            hops, operations = seen(before, after)
            if as_json:
                output.document({"hops": hops, "operations": operations})
            else:
                tables = (output.table(hops, _HOPS, live=live), output.table(operations, _OPERATIONS, live=live))
                screen.update(Group(tables[0], Text(), tables[1]), refresh=True)
            before, left = after, None if left is None else left - 1


class _Still:
    """Prints where `Live` would draw."""

    def __enter__(self) -> "_Still":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def update(self, shown: Any, *, refresh: bool) -> None:
        """Below what is there."""
        output.console.print(shown)


def _running() -> ClusterState:
    known = ClusterState.load(cluster.LocalSettings().state_dir)
    if known is None or not known.supervisor.is_alive():
        raise Failure("no cluster is running here; `weir up` starts one")
    return known


def seen(before: Mapping[str, Reading], after: Mapping[str, Reading]) -> tuple[list[Any], list[Any]]:
    """Hops and operations, between two looks. Of a process that gave no answer to the first nobody knows what it has
    done since: all that it ever did would be taken for that."""
    by_hop: dict[str, list[tuple[Reading, Reading]]] = {}
    for name, reading in after.items():
        by_hop.setdefault(name.rpartition("-")[0], []).append((before.get(name, reading), reading))
    spans = {hop: Span(pairs) for hop, pairs in by_hop.items()}
    return hop_rows(spans), operation_rows(spans.get("ingress", Span(())))[:_MOST]


async def read_all(known: ClusterState) -> dict[str, Reading]:
    """The metrics of every process that tells them."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        found = await asyncio.gather(*(_read(session, process) for process in known.processes))
    return {process.name: reading for process, reading in zip(known.processes, found, strict=True)
            if reading is not None}


async def _read(session: aiohttp.ClientSession, process: ProcessState) -> Reading | None:
    if process.ready_url is None:
        return None
    try:
        async with session.get(process.ready_url.replace(READY, METRICS)) as answer:
            text = await answer.text()
            # the outside systems of examples have no metrics
            return Reading.of(text, time.monotonic()) if answer.status == 200 else None
    except (OSError, aiohttp.ClientError, TimeoutError, ValueError):
        return None
