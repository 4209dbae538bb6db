"""What traces cost: the same operation in three projects, of which none, one in a hundred and each call leaves a trace.

`python -m tests.bench.tracing` measures this alone, on a cluster of its own. The loads take turns, so that whatever
else the machine does meets all of them.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.bench.drive import cpu_s, drive_url
from tests.bench.projects import operation, project
from tests.support import platform as platforms
from tests.support.platform import Platform

RATIOS, CONNECTIONS, TURNS = (0.0, 0.01, 1.0), 64, 8
SERVICES = ("ingress", "policy", "executor", "analytics", "control")
# no bound on how many traces begin, and none that are made afterwards because the machine is slow
ENVIRONMENT = {"WEIR_TRACE_MAX_PER_S": "1000000", "WEIR_TRACE_SLOW_MS": "60000"}
HEADERS = ["Content-Type: application/json"]


def files(name: str, ratio: float) -> dict[str, str]:
    """A workflow with a step, an input schema, no token."""
    return {**project(name, ["echo"], {}), "weir.yaml": json.dumps({"name": name, "tracing": {"ratio": ratio}}),
            "operations.yaml": json.dumps({"operations": [{**operation("echo"), "public": True}]})}


def measure(cluster: Platform, seconds: float) -> list[str]:
    """Lines of the report."""
    names = {ratio: f"traced-{round(ratio * 100)}" for ratio in RATIOS}
    for ratio, name in names.items():
        cluster.admin("POST", f"/projects/{name}/versions", {"files": files(name, ratio)})
    processes = [psutil.Process(known.pid) for name, known in cluster.processes().items()
                 if name.rpartition("-")[0] in SERVICES]
    time.sleep(2)
    rates: dict[float, list[float]] = {ratio: [] for ratio in RATIOS}
    costs: dict[float, list[float]] = {ratio: [] for ratio in RATIOS}
    for name in names.values():
        drive_url(f"{cluster.ingress}/{name}/echo", HEADERS, CONNECTIONS, 1)
    for turn in range(TURNS):
        # who comes first changes: a load leaves spans to be read behind it
        for ratio in RATIOS if turn % 2 else reversed(RATIOS):
            before, began = sum(map(cpu_s, processes)), time.monotonic()
            found = drive_url(f"{cluster.ingress}/{names[ratio]}/echo", HEADERS, CONNECTIONS, seconds)
            assert set(found["statuses"]) == {200}, found["statuses"]
            rates[ratio].append(found["rps"])
            costs[ratio].append((sum(map(cpu_s, processes)) - before) * 1e6
                                / (found["rps"] * (time.monotonic() - began)))
            time.sleep(0.5)
    return [f"tracing, {TURNS} turns of {seconds:g} s, {CONNECTIONS} connections, closed loop",
            *(f"  {ratio * 100:g} % of the calls: {statistics.median(rates[ratio]):.0f} requests/s, "
              f"{compared(rates[ratio], rates[0.0]):.3f} of the throughput without; CPU of all services "
              f"{statistics.median(costs[ratio]):.0f} µs a request, {compared(costs[ratio], costs[0.0]):.2f} times"
              for ratio in RATIOS)]


def compared(these: list[float], those: list[float]) -> float:
    """Median of the ratios, turn by turn."""
    return statistics.median(one / other for one, other in zip(these, those, strict=True))


def main() -> None:
    """This alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tracing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    options: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cluster = platforms.start(Path(folder), "--no-example", env=ENVIRONMENT)
        try:
            print("\n".join(measure(cluster, options.seconds)))
        finally:
            platforms.stop(cluster)


if __name__ == "__main__":
    main()
