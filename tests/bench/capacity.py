"""What a rate needs: processes, cores, partitions, bytes; from what a bench has measured on one machine.

`python -m tests.bench.capacity RESULT [--rate 1000 10000]` prints a table; `--check` measures two and three times a
load on fewer partitions beside what the model says of it.

What a request costs a process is read off the row of the standard work, at the rates that were measured: between two
of them on the line from one to the other, beyond the fastest the least that any has cost. Processes are as many as it
takes for none to be busier than `BUSY`. The store is one primary, which does one thing at a time: past what it can do,
projects are divided over several clusters.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as count_from
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.table import Table

from shared.names.topics import TOPICS
from tests.bench import growth, machine, report, rounds
from tests.bench.bed import ENVIRONMENT, SERVICES, Bed
from tests.bench.results import NoResults, Results, Rounds
from tests.bench.rows import STANDARD, Load, prepare
from tests.support import platform as platforms

RATES = (1_000, 10_000, 100_000, 1_000_000)
# how busy a process may be on average: bursts and a lost neighbour need the rest
BUSY = 0.6
COPIES = 3
STORE, BROKER = "valkey", "kafka"
# who reads a topic: as many partitions as it has processes
READERS = {"weir.requests.edge": "policy", "weir.requests.internal": "policy", "weir.executions": "executor",
           "weir.replies": "ingress", "weir.usage": "analytics"}
_LEAST_LOADS = 3
CHECK_PARTITIONS, CHECK_RATE, CHECK_SECONDS, CHECK_ROUNDS = 2, 600, 4.0, 3


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU µs of one process a request, at some rates: [requests a second, µs], slowest first."""

    points: Sequence[tuple[float, float]]

    def at(self, rate: float) -> float:
        """CPU µs a request: fewer where many requests share a batch."""
        if rate <= self.points[0][0]:
            return self.points[0][1]
        for (slower, dearer), (faster, cheaper) in pairwise(self.points):
            if rate <= faster:
                return dearer + (cheaper - dearer) * (rate - slower) / (faster - slower)
        return min(cost for _, cost in self.points)

    def busy(self, rate: float) -> float:
        """Share of a core."""
        return rate * self.at(rate) / 1e6


class Point(NamedTuple):
    """What was measured: requests a second, CPU µs of each process a request, bytes that a request leaves."""

    rate: float
    cpu_us: Mapping[str, float]
    log_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`costs` by process; `log_bytes`: what a request leaves on each topic, one copy."""

    costs: Mapping[str, Cost]
    log_bytes: Mapping[str, float]


class Need(NamedTuple):
    """Of a rate. `processes` and `cores` by service; `partitions` by topic; `clusters`: over how many projects are
    divided; bytes a second that the brokers write, copies included; bytes that they keep."""

    rate: int
    clusters: int
    processes: Mapping[str, int]
    cores: Mapping[str, float]
    partitions: Mapping[str, int]
    written: float
    kept: float


def model(results: Results) -> Model:
    """From the standard work of a bench. Raises NoResults."""
    if len(results.rows.get(STANDARD, {})) < _LEAST_LOADS:
        raise NoResults(f"the run has fewer than {_LEAST_LOADS} loads of the row {STANDARD!r}; costs at several rates "
                        "are what the model is made of")
    points = [_point(found) for found in results.rows[STANDARD].values()]
    names = [name for name in points[0].cpu_us if name in (*SERVICES, STORE, BROKER)]
    busiest = max(results.rows[STANDARD].values(), key=lambda found: median(one["rps"] for one in found))
    return Model(
        costs={name: Cost(sorted((point.rate, point.cpu_us[name]) for point in points)) for name in names},
        log_bytes={topic: median(one["log_bytes"].get(topic, 0.0) for one in busiest)
                   for topic in busiest[0]["log_bytes"]})


def _point(found: Rounds) -> Point:
    return Point(median(one["rps"] for one in found), {
        name: median(one["cpu_us"][name] for one in found) for name in found[0]["cpu_us"]},
        median(sum(one["log_bytes"].values()) for one in found))


def need(known: Model, rate: int) -> Need:
    """What so many requests a second need."""
    store = known.costs[STORE]
    clusters = next(count for count in range(1, rate + 1) if store.busy(rate / count) <= BUSY)
    processes = {name: clusters * _processes(known.costs[name], rate / clusters) for name in SERVICES}
    cores = {name: count * known.costs[name].busy(rate / count) for name, count in processes.items()}
    cores[STORE] = clusters * store.busy(rate / clusters)
    # a copy is fetched and written as the first one is
    cores[BROKER] = COPIES * known.costs[BROKER].busy(rate)
    kept = {topic.name: int(topic.configs.get("retention.ms", 0)) / 1000 for topic in TOPICS}
    least = {topic.name: topic.partitions for topic in TOPICS}
    return Need(
        rate, clusters, processes, cores,
        {topic: max(least[topic], processes[name] // clusters) for topic, name in READERS.items()},
        written=COPIES * rate * sum(known.log_bytes.values()),
        kept=COPIES * rate * sum(size * kept.get(topic, 0.0) for topic, size in known.log_bytes.items()))


def _processes(cost: Cost, rate: float) -> int:
    return next(count for count in count_from(1) if cost.busy(rate / count) <= BUSY)


def lines(known: Model) -> Iterator[str]:
    """The model itself."""
    for name, cost in known.costs.items():
        yield f"{name}: " + ", ".join(f"{used:.0f} µs a request at {rate:.0f}/s" for rate, used in cost.points)
    yield "bytes a request: " + ", ".join(f"{topic} {size:.0f}" for topic, size in known.log_bytes.items())


def table(needs: Sequence[Need]) -> Table:
    """One row a rate."""
    made = Table(box=None, title=f"at most {BUSY:.0%} busy, {COPIES} copies", title_justify="left")
    for column in ("requests/s", "clusters", *(f"{name}: processes (cores)" for name in SERVICES), "store cores",
                   "broker cores", "most partitions", "written MB/s", "kept TB"):
        made.add_column(column, justify="right")
    for one in needs:
        made.add_row(*cells(one))
    return made


def cells(one: Need) -> list[str]:
    """Of one row."""
    return [f"{one.rate:,}", str(one.clusters),
            *(f"{one.processes[name]} ({one.cores[name]:.1f})" for name in SERVICES), f"{one.cores[STORE]:.1f}",
            f"{one.cores[BROKER]:.1f}", str(max(one.partitions.values())), f"{one.written / 1e6:.0f}",
            f"{one.kept / 1e12:.2f}"]


def check(known: Model) -> Iterator[str]:
    """Two and three times a load on fewer partitions: what was measured beside what the model says."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = platforms.start(Path(folder), "--no-example", env={
            **ENVIRONMENT, **growth.partitions(CHECK_PARTITIONS)})
        bed = Bed(cluster)
        try:
            [row] = [row for row in prepare(bed, [STANDARD]) if row.name == STANDARD]
            bed.configured()
            rounds.measure(bed, row, Load(64), CHECK_SECONDS)
            for times in (1, 2, 3):
                load = Load(64, times * CHECK_RATE)
                point = _point([rounds.measure(bed, row, load, CHECK_SECONDS) for _ in range(CHECK_ROUNDS)])
                told = {name: (point.cpu_us[name] * point.rate / 1e6, cost.busy(point.rate))
                        for name, cost in known.costs.items()}
                both = [sum(pair) for pair in zip(*told.values(), strict=True)]
                yield (f"{point.rate:.0f} requests/s, {CHECK_PARTITIONS} partitions: {both[0]:.2f} cores measured, "
                       f"{both[1]:.2f} by the model ({both[1] / both[0] - 1:+.0%}); bytes a request "
                       f"{point.log_bytes:.0f}, {sum(known.log_bytes.values()):.0f} by the model; " + ", ".join(
                           f"{name} {seen:.2f}/{said:.2f}" for name, (seen, said) in told.items()))
        finally:
            bed.stop()
            platforms.stop(cluster)


def main() -> None:
    """Print what rates need."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.capacity", description=__doc__)
    arguments.add_argument("result", type=Path, help="a file that `make bench` has written")
    arguments.add_argument("--rate", type=int, nargs="+", default=RATES)
    arguments.add_argument("--check", action="store_true")
    options = arguments.parse_args()
    try:
        results = Results.load(options.result)
        known, out = model(results), report.console()
    except NoResults as exc:
        raise SystemExit(f"capacity: {exc}") from None
    out.print(report.machine(results), soft_wrap=True)
    for line in lines(known):
        out.print(line, soft_wrap=True)
    out.print(table([need(known, rate) for rate in options.rate]))
    if options.check:
        out.print(f"checked on {machine.machine()['cpu']}", soft_wrap=True)
        for line in check(known):
            out.print(line, soft_wrap=True)


if __name__ == "__main__":
    main()
