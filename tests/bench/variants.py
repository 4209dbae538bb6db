"""Clusters side by side that differ in settings alone, loaded in turn: what a setting costs, as a ratio.

`python -m tests.bench.variants` measures metrics and logs. A load on one is followed by a load on the other, so what
else the machine does meets both; a ratio is the median over rounds.
"""

import argparse
import random
import statistics
import tempfile
import threading
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
SCRAPE_S = 15.0


class Result(NamedTuple):
    """Beside the first cluster: throughput, and requests that a CPU second of the services serves."""

    throughput: float
    per_cpu: float


class Side:
    """One cluster under load; `scraped`: its metrics are read every fifteen seconds, as by Prometheus."""

    def __init__(self, cluster: Platform, *, scraped: bool) -> None:
        """With a project that does little."""
        self._cluster, self._scraped, self._next = cluster, scraped, 0.0
        cluster.admin("POST", "/projects/open/versions", {"files": projects.open_project()})
        token = cluster.admin("POST", "/projects/open/clients/load/tokens", {})["token"]
        time.sleep(2)
        self._url = f"{cluster.ingress}/open/echo"
        self._headers = ["Content-Type: application/json", f"Authorization: Bearer {token}"]
        self._processes = [psutil.Process(process.pid) for name, process in cluster.processes().items()
                           if name in SERVICES]
        self.load(2)

    def load(self, seconds: float) -> tuple[float, float]:
        """Requests a second, CPU seconds of all services per request."""
        before = sum(cpu_s(process) for process in self._processes)
        scraper = threading.Thread(target=self._scrape)
        scraper.start()
        found = drive_url(self._url, self._headers, CONNECTIONS, seconds)
        scraper.join()
        assert set(found["statuses"]) == {200}, found["statuses"]
        used = sum(cpu_s(process) for process in self._processes) - before
        return found["rps"], used / sum(found["statuses"].values())

    def _scrape(self) -> None:
        if not self._scraped or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SCRAPE_S
        for name in SERVICES:
            address = self._cluster.processes()[name].ready_url.replace("/-/ready", "/metrics")
            with urllib.request.urlopen(address, timeout=5) as answer:
                answer.read()


def compare(variants: Sequence[Mapping[str, str]], rounds: int, seconds: float) -> list[Result]:
    """Each variant but the first, beside the first."""
    with ExitStack() as stack:
        sides: list[Side] = []
        for env in variants:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            cluster = platforms.start(Path(folder), "--no-example", env=env)
            stack.callback(platforms.stop, cluster)
            sides.append(Side(cluster, scraped=env.get("WEIR_METRICS") != "false"))
        found: list[dict[int, tuple[float, float]]] = []
        order = list(range(len(sides)))
        for _ in range(rounds):
            random.shuffle(order)
            found.append({which: sides[which].load(seconds) for which in order})
    return [Result(statistics.median(one[which][0] / one[0][0] for one in found),
                   statistics.median(one[0][1] / one[which][1] for one in found)) for which in range(1, len(sides))]


def telling(rounds: int, seconds: float) -> str:
    """A line of the report; two silent clusters side by side say how much of it is chance."""
    found, chance = compare((SILENT, TELLING, SILENT), rounds, seconds)
    return (f"metrics, access log of 1 % and scrapes: {found.throughput:.3f} of the throughput without, "
            f"{found.per_cpu:.3f} of the requests that a CPU second serves without ({rounds} rounds of {seconds:g} s; "
            f"two clusters without: {chance.throughput:.3f}, {chance.per_cpu:.3f})")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure metrics and logs alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.variants", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1)
    options: Any = parser.parse_args(arguments)
    print(telling(options.rounds, options.seconds))


if __name__ == "__main__":
    main()
