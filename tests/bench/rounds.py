"""Rounds: in each, every row under every load, one after the other, in an order that chance decides.

A row is compared with the bare row of the same round and load, which was measured seconds before or after it. A round
that does not count comes first: the broker's JVM compiles what it is asked for, and everybody else fills caches.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.bench import drive
from tests.bench.bed import Bed
from tests.bench.gauges import Reading
from tests.bench.rows import Load, Row

WARM_UP_S = 1.0
# so many connections that begin together are in step for a while
_PER_S = 1_000
_FIRST, _FIRST_S = Load(64), 2.0
# what a load takes beside its time: a process is started, connections are made, the last answers come
OVERHEAD_S = 1.0
LASTING_S = 4.0


def run(bed: Bed, rows: Sequence[Row], loads: Sequence[Load], rounds: int, seconds: float, seed: int,
        tell: Callable[[str], None]) -> None:
    """Fill the rows' results."""
    chance = random.Random(seed)
    for row in rows:
        measure(bed, row, _FIRST, _FIRST_S)
    for number in range(1, rounds + 1):
        for load in loads:
            order = chance.sample(rows, len(rows))
            began = time.monotonic()
            for row in order:
                if row.paced or not load.rate:
                    row.results.setdefault(load, []).append(measure(bed, row, load, seconds))
            tell(f"round {number} of {rounds}, {load}: {time.monotonic() - began:.0f} s")


def warm_s(load: Load) -> float:
    """What does not count."""
    return WARM_UP_S + (0 if load.rate else load.connections / _PER_S)


def expected_s(count: int, loads: Sequence[Load], rounds: int, seconds: float) -> float:
    """About how long `run` takes."""
    first = count * (warm_s(_FIRST) + _FIRST_S + OVERHEAD_S)
    return first + rounds * sum(count * (warm_s(load) + seconds + OVERHEAD_S) + LASTING_S for load in loads)


def measure(bed: Bed, row: Row, load: Load, seconds: float) -> dict[str, Any]:
    """Warm up, load; what each process used while answers counted, for one answer.

    Of a row whose work goes on afterwards: from before the warm-up until all of it has ended, for all its answers. A
    load without a single answer as wanted has failed, and has no other figures.
    """
    readings: list[Reading] = []

    def look(_: str = "") -> None:
        readings.append(Reading.of(row.processes, bed.log, row.topics))
    if row.lasting:
        bed.settle()
        look()
    found = drive.run(row.command(load, seconds), warm_s(load), None if row.lasting else look)
    if row.lasting:
        found["settled"] = bed.settle()
        look()
    wanted = found["statuses"].get(row.wanted, 0)
    found["wrong"] = found["answers"] - wanted
    if not wanted or row.wanted not in found["of"]:
        kept = {name: value for name, value in found.items() if name not in ("p50", "p99")}
        return {**kept, "failed": True, "rps": 0.0}
    # the time that counts is the same for all answers
    found["rps"] *= wanted / found["answers"]
    found.update({figure: found["of"][row.wanted][figure] for figure in ("p50", "p99")})
    requests = found["total"] if row.lasting else found["answers"]
    found.update(readings[0].until(readings[-1], requests))
    if "client_cpu_s" in found:
        found["cpu_us"]["client"] = found["client_cpu_s"] * 1e6 / requests
        found["switches"]["client"] = found["client_switches"] / requests
    return found
