"""The report: a table per load, medians over the rounds, ratios to the bare row with their spread."""

import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import stress
from tests.bench.results import Results, Rounds, figure
from tests.bench.rows import ROWS

_LEFT = ("row", "by process")


def console() -> Console:
    """As wide as the tables need where nobody reads along."""
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def machine(results: Results) -> str:
    """One line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in results.machine.items())


def show(results: Results, out: Console) -> None:
    """All of it."""
    out.print(machine(results), soft_wrap=True)
    for load in results.loads():
        for line in _failed(results, load):
            out.print(line, soft_wrap=True)
        out.print(_rows(results, load))
        out.print(_processes(results, load))
        for what, found in results.between(load).items():
            out.print(f"{what}: {found}", soft_wrap=True)
        out.print()
    for what, found in results.across().items():
        out.print(f"{what}: {found}", soft_wrap=True)
    for line in beyond(results):
        out.print(line, soft_wrap=True)
    for line in results.lines:
        out.print(line, soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=None, title_justify="left", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if column in _LEFT else "right", no_wrap=column != "by process")
    return table


def _found(results: Results, load: str) -> Iterator[tuple[str, Rounds]]:
    for name in ROWS:
        found = results.rows.get(name, {}).get(load)
        if found and results.beside_bare(name, load):
            yield name, found


def _failed(results: Results, load: str) -> Iterator[str]:
    for name, loads in results.rows.items():
        failed = [one for one in loads.get(load, []) if one.get("failed")]
        if failed:
            yield (f"{load}: {ROWS[name][0]} had no answer as wanted in {len(failed)} rounds, but "
                   f"{[one['statuses'] for one in failed]}")


def _rows(results: Results, load: str) -> Table:
    table = _table(load, "row", "requests/s", "÷ bare", "CPU ÷ bare", "p50 ms", "÷ bare", "p99 ms", "per core and s",
                   "load", "log bytes", "loopback bytes", "not as wanted")
    for name, found in _found(results, load):
        beside = results.beside_bare(name, load)
        table.add_row(
            ROWS[name][0], f"{_median(found, 'rps'):.0f}", str(beside["rate"]), str(beside["cpu"]),
            f"{_median(found, 'p50'):.2f}", str(beside["p50"]), f"{_median(found, 'p99'):.2f}",
            f"{1e6 / median(figure(one, 'cpu') for one in found):.0f}",
            f"{median(one.get('load_cpu', 0.0) for one in found):.2f}",
            f"{median(sum(one['log_bytes'].values()) for one in found):.0f}", f"{_median(found, 'loopback_bytes'):.0f}",
            _wrong(found))
    return table


def _wrong(found: Rounds) -> str:
    wrong, answers = sum(one["wrong"] for one in found), sum(one["answers"] for one in found)
    more = [f"{sum(one[what] for one in found)} {what}" for what in ("unanswered", "lost") if any(
        one[what] for one in found)]
    if not all(one.get("settled", True) for one in found):
        more.append("not all ran to their end")
    return ", ".join([f"{wrong} ({wrong / answers:.1%})" if wrong else "0", *more])


def _processes(results: Results, load: str) -> Table:
    table = _table("", "row", "by process")
    for name, found in _found(results, load):
        cpu, switches = ({process: median(one[what][process] for one in found) for process in found[0][what]}
                         for what in ("cpu_us", "switches"))
        told = "  ".join(f"{process} {cpu[process]:.0f}/{switches[process]:.1f}" for process in cpu)
        table.add_row(ROWS[name][0], told)
    table.columns[1].header = "CPU µs / context switches of one request, by process"
    return table


def _median(found: Rounds, name: str) -> float:
    return median(one[name] for one in found)


def beyond(results: Results) -> Iterator[str]:
    """The standard work away from closed loops."""
    if not results.stress:
        return
    capacity, overload = results.stress["capacity"], results.stress["overload"]
    yield (f"capacity of the standard work: {_median(capacity, 'rps'):.0f} requests/s over "
           f"{stress.CAPACITY_CONNECTIONS} connections; open loops, timed from when requests were due:")
    for name, found in results.beyond().items():
        yield f"  {name}: {found}"
    calm = [one for one in results.stress["calm"] if not one.get("failed")]
    if calm:
        yield f"  half of the capacity: p50 {_median(calm, 'p50'):.2f} ms, p99 {_median(calm, 'p99'):.2f} ms"
    yield (f"  the load itself took {_median(overload, 'load_cpu'):.2f} of a core at three times the capacity, and was "
           f"{_median(overload, 'load_late_p99'):.1f} ms late at its p99; at half, "
           f"{_median(results.stress['calm'], 'load_late_p99'):.1f} ms")
    yield f"  three times the capacity, how requests ended: {_shares(overload)}"


def _shares(found: list[dict[str, Any]]) -> str:
    each = [stress.rest(one) for one in found]
    return ", ".join(f"{how} {median(one.get(how, 0.0) for one in each):.1%}" for how in sorted(set().union(*each)))
