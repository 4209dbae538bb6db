"""The standard work away from closed loops: at half of its capacity, and at three times as much.

Capacity is the rate of a closed loop over 256 connections in the same round. The other two are open loops: requests are
due at a fixed rate, and their time counts from when they were due.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tests.bench import stats
from tests.bench.bed import Bed
from tests.bench.rounds import LASTING_S, OVERHEAD_S, measure, warm_s
from tests.bench.rows import Load, Row
from tests.bench.stats import Spread

CALM, OVERLOAD = 0.5, 3.0
# more than the edge lets in at a time, so that it is the edge that says no, and not the load that waits for itself
CAPACITY_CONNECTIONS, CALM_CONNECTIONS, OVERLOAD_CONNECTIONS = 256, 1_000, 4_000
PARTS = ("capacity", "calm", "overload")
Results = dict[str, list[dict[str, Any]]]


def run(bed: Bed, row: Row, rounds: int, seconds: float, tell: Callable[[str], None]) -> Results:
    """All three in each round."""
    found: Results = {part: [] for part in PARTS}
    for number in range(1, rounds + 1):
        capacity = measure(bed, row, Load(CAPACITY_CONNECTIONS), seconds)
        found["capacity"].append(capacity)
        for part, load in (("calm", Load(CALM_CONNECTIONS, capacity["rps"] * CALM)),
                           ("overload", Load(OVERLOAD_CONNECTIONS, capacity["rps"] * OVERLOAD))):
            bed.settle()
            found[part].append({**measure(bed, row, load, seconds), "rate": load.rate})
        bed.settle()
        tell(f"capacity, half of it, three times it: round {number} of {rounds}")
    return found


def expected_s(rounds: int, seconds: float) -> float:
    """About how long `run` takes."""
    warm = sum(map(warm_s, (Load(CAPACITY_CONNECTIONS), Load(CALM_CONNECTIONS, 1), Load(OVERLOAD_CONNECTIONS, 1))))
    return rounds * (warm + len(PARTS) * (seconds + OVERHEAD_S) + LASTING_S)


def figures(found: Results) -> dict[str, Spread]:
    """What is told of it, and compared from run to run."""
    def each(part: str, figure: str) -> list[float]:
        return [result[figure] for result in found[part]]

    def answered(*parts: str) -> bool:
        return not any(result.get("failed") for part in parts for result in found[part])
    told = {}
    if answered("calm"):
        told["calm: p99 ÷ p50"] = stats.ratio(each("calm", "p99"), each("calm", "p50"))
    if answered("capacity"):
        told["overload: goodput ÷ capacity"] = stats.ratio(each("overload", "rps"), each("capacity", "rps"))
    if answered("capacity", "overload"):
        told["overload: p99 of admitted ÷ p99 at capacity"] = stats.ratio(each("overload", "p99"),
                                                                          each("capacity", "p99"))
    return told


def rest(result: Mapping[str, Any]) -> dict[str, float]:
    """How the requests of an open loop ended, as shares of those that were due."""
    counts = {str(status): one["count"] for status, one in result["of"].items()}
    counts["no answer"] = result["unanswered"]
    due = sum(counts.values())
    return {how: count / due for how, count in counts.items() if count}
