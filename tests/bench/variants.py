"""Two clusters side by side that differ in settings alone, loaded in turn: what a setting costs, as a ratio.

`python -m tests.bench.variants` measures metrics and logs. A load on one is followed by a load on the other, so what
else the machine does meets both; the ratio is the median over pairs.
"""

import argparse
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.bench import projects
from tests.bench.drive import cpu_s, drive_url
from tests.support import platform as platforms
from tests.support.platform import Platform

SILENT = {"WEIR_METRICS": "false", "WEIR_ACCESS_LOG_RATIO": "0", "WEIR_LOG_LEVEL": "ERROR", "WEIR_TRACE_RATIO": "0"}
TELLING = {"WEIR_METRICS": "true", "WEIR_ACCESS_LOG_RATIO": "0.01", "WEIR_LOG_LEVEL": "INFO", "WEIR_TRACE_RATIO": "0"}
SERVICES = ("ingress-0", "policy-0", "executor-0", "analytics-0")
CONNECTIONS = 64


class Side(NamedTuple):
    """One cluster under load; `scraped`: its metrics are read with every load, as Prometheus would."""

    cluster: Platform
    url: str
    headers: list[str]
    scraped: bool

    def load(self, seconds: float) -> tuple[float, float]:
        """Requests a second, CPU microseconds of all services per request."""
        known = [psutil.Process(process.pid) for name, process in self.cluster.processes().items() if name in SERVICES]
        before, began = sum(cpu_s(process) for process in known), time.monotonic()
        if self.scraped:
            for name in SERVICES:
                address = self.cluster.processes()[name].ready_url.replace("/-/ready", "/metrics")
                with urllib.request.urlopen(address, timeout=5) as answer:
                    answer.read()
        found = drive_url(self.url, self.headers, CONNECTIONS, seconds)
        assert set(found["statuses"]) == {200}, found["statuses"]
        requests = found["rps"] * (time.monotonic() - began)
        return found["rps"], (sum(cpu_s(process) for process in known) - before) * 1e6 / requests


def ready(cluster: Platform, *, scraped: bool) -> Side:
    """With a project that does little."""
    cluster.admin("POST", "/projects/open/versions", {"files": projects.open_project()})
    token = cluster.admin("POST", "/projects/open/clients/load/tokens", {})["token"]
    time.sleep(2)
    side = Side(cluster, f"{cluster.ingress}/open/echo",
                ["Content-Type: application/json", f"Authorization: Bearer {token}"], scraped)
    side.load(2)
    return side


def ratios(plain: Mapping[str, str], other: Mapping[str, str], rounds: int, seconds: float,
           *, scraped: bool = False) -> tuple[float, float]:
    """Throughput of `other` as a part of that of `plain`, and the same of what a CPU second does."""
    with ExitStack() as stack:
        sides: list[Side] = []
        for env in (plain, other):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            cluster = platforms.start(Path(folder), "--no-example", env=env)
            stack.callback(platforms.stop, cluster)
            sides.append(ready(cluster, scraped=scraped and env is other))
        pairs = []
        for number in range(rounds):
            found = {which: sides[which].load(seconds) for which in ((0, 1) if number % 2 else (1, 0))}
            pairs.append((found[0], found[1]))
    return (statistics.median(one[0] / base[0] for base, one in pairs),
            statistics.median(base[1] / one[1] for base, one in pairs))


def telling(rounds: int, seconds: float) -> str:
    """A line of the report."""
    throughput, per_cpu = ratios(SILENT, TELLING, rounds, seconds, scraped=True)
    return (f"metrics, access log of 1 % and scrapes: {throughput:.3f} of the throughput without, "
            f"{per_cpu:.3f} of the requests that a CPU second serves without ({rounds} pairs of {seconds:g} s)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure metrics and logs alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.variants", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3)
    options: Any = parser.parse_args(arguments)
    print(telling(options.rounds, options.seconds))


if __name__ == "__main__":
    main()
