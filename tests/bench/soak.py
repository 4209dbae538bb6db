"""Half an hour of the standard work at seven tenths of its capacity: does anything grow?

`python -m tests.bench.soak [--minutes 30] [--share 0.7]`; prints what each minute was like, then how much memory each
process of the cluster has gained since the first five minutes, leaves all of it as JSON, and asserts nothing. Capacity
is the rate of a closed loop over 256 connections, after a while that does not count; the load is an open loop over as
many.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.bench import machine
from tests.bench.bed import Bed, cluster_for_bench
from tests.bench.rounds import measure
from tests.bench.rows import STANDARD, Load, Row, prepare

CONNECTIONS, CAPACITY_S, MINUTE_S = 256, 5.0, 58.5
# caches fill and the broker's JVM takes the heap that it was given
SETTLING_MINUTES = 5
# of a minute's memory, and of the last one: looked at between two loads, it moves by what was just freed
_LOOKS = 3
Memory = dict[str, float]


def memory_of(processes: Mapping[str, psutil.Process]) -> Memory:
    """Resident, in MB."""
    return {name: process.memory_info().rss / 1e6 for name, process in processes.items()}


def growth(minutes: Sequence[Memory]) -> dict[str, tuple[float, float]]:
    """By process: MB around the end of the settling, and MB around the end."""
    def around(found: Sequence[Memory], name: str) -> float:
        return statistics.median(memory[name] for memory in found)
    settled = minutes[SETTLING_MINUTES - 1:SETTLING_MINUTES - 1 + _LOOKS]
    return {name: (around(settled, name), around(minutes[-_LOOKS:], name)) for name in minutes[0]}


def minute(bed: Bed, row: Row, rate: float) -> str:
    """One of them, as a line."""
    found = measure(bed, row, Load(CONNECTIONS, rate), MINUTE_S)
    if found.get("failed"):
        return "no answer as wanted"
    return (f"{found['rps']:.0f} of {rate:.0f} requests/s, p50 {found['p50']:.0f} ms, p99 {found['p99']:.0f} ms, "
            f"{found['wrong']} not as wanted, {found['unanswered']} unanswered")


def run(minutes: int, share: float, place: Path) -> None:
    """On a cluster of its own."""
    with tempfile.TemporaryDirectory() as folder, cluster_for_bench(Path(folder), Path(".weir/bench/soak.logs")) as bed:
        [row] = [one for one in prepare(bed, [STANDARD]) if one.name == STANDARD]
        bed.configured()
        measure(bed, row, Load(CONNECTIONS), CAPACITY_S)
        processes = {name: psutil.Process(known.pid) for name, known in bed.cluster.processes().items()}
        capacity = measure(bed, row, Load(CONNECTIONS), CAPACITY_S)["rps"]
        print(f"capacity {capacity:.0f} requests/s", flush=True)
        seen: list[Memory] = []
        for number in range(1, minutes + 1):
            line = minute(bed, row, capacity * share)
            seen.append(memory_of(processes))
            print(f"minute {number}: {line}; {', '.join(f'{name} {mb:.0f}' for name, mb in seen[-1].items())} MB",
                  flush=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({"machine": machine.machine(), "minutes": minutes, "rate": capacity * share,
                                     "memory_mb": seen}) + "\n")
        for name, (before, after) in growth(seen).items():
            print(f"{name}: {before:.1f} MB after {SETTLING_MINUTES} minutes, {after:.1f} MB after {minutes}: "
                  f"{(after - before) / before:+.1%}", flush=True)


def main() -> None:
    """Run it."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    arguments.add_argument("--minutes", type=int, default=30)
    arguments.add_argument("--share", type=float, default=0.7)
    arguments.add_argument("--json", type=Path, default=Path(".weir/bench/soak.json"))
    options = arguments.parse_args()
    if options.minutes < SETTLING_MINUTES + _LOOKS:
        arguments.error(f"--minutes: at least {SETTLING_MINUTES + _LOOKS}; the first {SETTLING_MINUTES} do not count")
    run(options.minutes, options.share, options.json)


if __name__ == "__main__":
    main()
