"""Measure Weir beside a bare echo over the same broker: rows in rounds, open loops, overload, special benches.

Prints ratios with their spread, writes all rounds to `.weir/bench/`; `python -m tests.bench.compare A B` compares two
such files. `docs/benchmarks.md` tells what each row is and what the figures can bear.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench import flames, machine, report, rounds, stress
from tests.bench.bed import Bed, cluster_for_bench
from tests.bench.results import Results
from tests.bench.rows import BARE, ROWS, STANDARD, Load, prepare
from tests.bench.specials import ALONE, SPECIALS
from tests.support.platform import ROOT

FOLDER = ROOT / ".weir" / "bench"
SET_UP_S = 40.0
RATE_CONNECTIONS = 64
FULL = {"seconds": 3.0, "rounds": 5, "connections": [1, 16, 64, 256, 1000], "rates": [1000.0],
        "specials": [*SPECIALS, *ALONE]}
QUICK = {"seconds": 1.0, "rounds": 2, "connections": [16], "rates": [], "specials": []}


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for; what is not said is that of a full or of a quick run."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of three minutes: does all work?")
    parser.add_argument("--seconds", type=float, help="of one load, after a second that does not count")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--connections", type=int, nargs="+")
    parser.add_argument("--rates", type=float, nargs="*",
                        help=f"requests a second, the same for all rows, over {RATE_CONNECTIONS} connections")
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--specials", nargs="*", choices=[*SPECIALS, *ALONE], metavar="SPECIAL",
                        help="; ".join([", ".join(SPECIALS), ", ".join(ALONE)]))
    parser.add_argument("--no-stress", action="store_true", help="no open loops at half and three times the capacity")
    parser.add_argument("--profile", choices=ROWS, metavar="ROW",
                        help="leave flame graphs of the services of this row, at each number of connections")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides the order of rows in a round")
    parser.add_argument("--json", type=Path, default=FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}.json")
    options = parser.parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    # the standard work is what open loops ask for
    options.stress = not options.no_stress and STANDARD in options.rows
    return options


def loads_of(options: argparse.Namespace) -> list[Load]:
    """Closed loops, and the same rate for all."""
    return [*(Load(connections) for connections in options.connections),
            *(Load(RATE_CONNECTIONS, rate) for rate in options.rates)]


def expected_s(options: argparse.Namespace) -> float:
    """About how long the run takes."""
    rows = len({BARE, *options.rows}) if options.rows else 0
    took = SET_UP_S + rounds.expected_s(rows, loads_of(options), options.rounds, options.seconds)
    if options.stress:
        took += stress.expected_s(options.rounds, options.seconds)
    if options.profile:
        took += (options.seconds + 10) * len(options.connections)
    took += sum(special.took_s(options.seconds) for name, special in SPECIALS.items() if name in options.specials)
    return took + sum(alone.took_s for name, alone in ALONE.items() if name in options.specials)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for."""
    options = parsed(arguments)
    # the services inherit it; an edge needs a file for each connection
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results = Results(machine=machine.machine(), options=told(options))
    say(f"this takes about {expected_s(options) / 60:.0f} minutes; {report.machine(results)}")
    try:
        with tempfile.TemporaryDirectory() as folder, cluster_for_bench(
                Path(folder), options.json.with_suffix(".logs")) as bed:
            results.machine.update(machine.parts_of(bed.cluster))
            on_bed(bed, options, results)
        for name, alone in ALONE.items():
            if name in options.specials:
                say(name)
                results.lines += alone.run()
    finally:
        # what was measured before something went wrong is not lost
        results.save(options.json)
    report.show(results, report.console())
    print(f"results: {options.json}")


def on_bed(bed: Bed, options: argparse.Namespace, results: Results) -> None:
    """All that is measured on one cluster."""
    rows = prepare(bed, options.rows) if options.rows else []
    bed.configured()
    rounds.run(bed, rows, loads_of(options), options.rounds, options.seconds, options.seed, say)
    results.take(rows)
    if options.stress:
        standard = next(row for row in rows if row.name == STANDARD)
        results.stress = stress.run(bed, standard, options.rounds, options.seconds, say)
    if options.profile:
        row = next(row for row in prepare(bed, [options.profile]) if row.name == options.profile)
        for connections in options.connections:
            results.lines += flames.record(row, Load(connections), options.seconds, options.json.parent,
                                           f"{options.json.stem}-{connections}")
    for name, special in SPECIALS.items():
        if name in options.specials:
            say(name)
            results.lines += special.run(bed, options.seconds)


def told(options: argparse.Namespace) -> dict[str, Any]:
    """What has a say in the figures."""
    return {name: getattr(options, name) for name in (
        "seconds", "rounds", "connections", "rates", "rows", "specials", "stress", "seed")}


def say(what: str) -> None:
    """How far it is."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
