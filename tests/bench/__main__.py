"""Measure: aiohttp echo, bare three-hop echo, Weir refusing and answering, with few and many policies; interleaved.

Prints requests/s, p50, p99, the ratio to the bare echo, and CPU µs per request of each process. JSON beside it.
"""

import argparse
import asyncio
import json
import os
import platform as machine
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from rich.console import Console
from rich.table import Table

from shared.kafka.topics import ensure_topics
from tests.bench import allowance, detectors, engine, floor, projects, tracing, variants, wrk
from tests.bench.drive import cpu_s, drive_url
from tests.support import platform as platforms
from tests.support.platform import ROOT, Platform

BARE = "bare three-hop echo"
WARM_UP_S = 1.0
RESULTS = ROOT / ".weir" / "bench"


class Load(NamedTuple):
    """A closed loop, or as many requests a second, evenly spaced."""

    connections: int
    rate: int = 0

    def __str__(self) -> str:
        return f"{self.connections} connections, " + (f"{self.rate} requests/s" if self.rate else "closed loop")


@dataclass
class Row:
    """One thing to measure: where, with which headers, by which processes."""

    name: str
    url: str
    headers: list[str]
    processes: dict[str, psutil.Process]
    wanted: int = 200
    results: dict[Load, list[dict[str, Any]]] = field(default_factory=dict)


def main() -> None:
    """Run the whole measurement."""
    arguments = argparse.ArgumentParser(prog="make bench", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--connections", type=int, nargs="+", default=[1, 64, 256])
    arguments.add_argument("--rates", type=int, nargs="*", default=[1000],
                           help="requests a second, the same for all rows, over 64 connections")
    arguments.add_argument("--json", type=Path, default=RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cluster = platforms.start(Path(folder), "--no-example", env=tracing.ENVIRONMENT)
        started: list[subprocess.Popen[bytes]] = []
        try:
            rows = prepare(cluster, started)
            loads = [*(Load(connections) for connections in options.connections),
                     *(Load(64, rate) for rate in options.rates)]
            for _ in range(options.rounds):
                for load in loads:
                    for row in rows:
                        row.results.setdefault(load, []).append(measure(row, load, options.seconds))
            lines = run_engine(cluster, started, rows, options.seconds)
            memory_mb, ready_s = restart(cluster)
        finally:
            for process in started:
                process.kill()
                process.wait()
            platforms.stop(cluster)
    lines.append(variants.telling(rounds=20, seconds=1))
    report(rows, loads)
    print("\n".join(lines))
    print(f"policy, with {projects.OPERATIONS} operations, {projects.POLICIES} policies, {projects.NETWORKS} networks, "
          f"{projects.CLIENTS} clients: {memory_mb:.0f} MB resident, ready {ready_s:.1f} s after its start")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({row.name: {
        str(load): results for load, results in row.results.items()} for row in rows}, indent=1))
    print(f"results: {options.json}")


def prepare(cluster: Platform, started: list[subprocess.Popen[bytes]]) -> list[Row]:
    """Start the floor's processes beside the cluster, load the project."""
    asyncio.run(ensure_topics(cluster.kafka, floor.TOPICS))
    echo_port, edge_port = platforms.free_ports(2)
    parts = {role: start(cluster, started, role, *rest) for role, *rest in (
        ("echo", str(echo_port)), ("edge", str(edge_port)), ("hop",), ("worker",))}
    for name, files in (("open", projects.open_project()), ("guarded", projects.guarded()),
                        ("large", projects.large())):
        cluster.admin("POST", f"/projects/{name}/versions", {"files": files})
    asyncio.run(projects.make_clients(cluster.bootstrap))
    known = {name: psutil.Process(process.pid) for name, process in cluster.processes().items()}
    broker = {"kafka": known["kafka"]}
    services = {name.removesuffix("-0"): process for name, process in known.items()
                if name in ("ingress-0", "policy-0", "executor-0", "analytics-0", "valkey")} | broker
    time.sleep(5)
    json_body = "Content-Type: application/json"

    def weir(what: str, project: str, wanted: int = 200, *headers: str) -> Row:
        token = cluster.admin("POST", f"/projects/{project}/clients/load/tokens", {})["token"]
        bearer = [] if wanted == 401 else [f"Authorization: Bearer {token}"]
        return Row(f"Weir, {what}", f"{cluster.ingress}/{project}/echo", [json_body, *bearer, *headers], services,
                   wanted)

    rows = [
        Row("aiohttp echo", f"http://127.0.0.1:{echo_port}/", [], {"echo": parts["echo"]}),
        Row(BARE, f"http://127.0.0.1:{edge_port}/", [],
            {"edge": parts["edge"], "hop": parts["hop"], "worker": parts["worker"]} | broker),
        weir("no token (401)", "open", 401), weir("token only", "open"), weir("guarded", "guarded"),
        weir("guarded, rejected", "guarded", 403, "X-Robot: yes"), weir("guarded, large", "large"),
    ]
    time.sleep(2)
    return rows


def run_engine(cluster: Platform, started: list[subprocess.Popen[bytes]], rows: list[Row],
               seconds: float) -> list[str]:
    """The workflow engine, with a slow outside system beside it; the end of an allowance."""
    port = platforms.free_ports(1)[0]
    start(cluster, started, "slow", str(port), str(engine.STUB_MS))
    cluster.admin("POST", f"/projects/{engine.PROJECT}/versions", {"files": engine.files(f"http://127.0.0.1:{port}/")})
    time.sleep(2)
    bare = next(row for row in rows if row.name == BARE)

    def drive_engine(url: str, connections: int, wanted_s: float, rate: int = 0) -> dict[str, Any]:
        return drive_url(url, ["Content-Type: application/json"], connections, wanted_s, rate)
    worker_us = {rate: measure(bare, Load(64, rate), seconds)["cpu_us"]["worker"] for rate in (0, engine.RATE)}
    return [*engine.measure(cluster, drive_engine, worker_us, seconds), *allowance.measure(cluster, drive_engine),
            *detectors.measure(cluster), *tracing.measure(cluster, seconds)]


def restart(cluster: Platform) -> tuple[float, float]:
    """Memory of policy under load, and how long a new one takes until it is ready."""
    before = cluster.processes()["policy-0"]
    memory_mb = psutil.Process(before.pid).memory_info().rss / 1e6
    os.kill(before.pid, signal.SIGKILL)
    while (now := cluster.processes()["policy-0"]).pid in (0, before.pid):
        time.sleep(0.02)
    began = now.created
    while True:
        try:
            with urllib.request.urlopen(now.ready_url, timeout=5):
                return memory_mb, time.time() - began
        except OSError:
            time.sleep(0.05)


def start(cluster: Platform, started: list[subprocess.Popen[bytes]], *role: str) -> psutil.Process:
    """One process of the floor."""
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.floor", *role], cwd=ROOT,
                               env={**os.environ, "WEIR_KAFKA_BOOTSTRAP": cluster.bootstrap})
    started.append(process)
    return psutil.Process(process.pid)


def measure(row: Row, load: Load, seconds: float) -> dict[str, Any]:
    """Warm up, then load; CPU of each process over the loaded time."""
    drive(row, load, WARM_UP_S)
    before, began = {name: cpu_s(process) for name, process in row.processes.items()}, time.monotonic()
    result = drive(row, load, seconds)
    requests = result["rps"] * (time.monotonic() - began) or 1
    result["cpu_us"] = {name: (cpu_s(process) - before[name]) * 1e6 / requests
                        for name, process in row.processes.items()}
    return result


def drive(row: Row, load: Load, seconds: float) -> dict[str, Any]:
    """One load."""
    return drive_url(row.url, row.headers, load.connections, seconds, load.rate)


def report(rows: list[Row], loads: list[Load]) -> None:
    """A table per load, medians over the rounds, and what policy costs beside its floor."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(f"{machine.platform()}, {psutil.cpu_count()} cores, Python {machine.python_version()}, load by "
                  f"{'wrk' if wrk.available() else 'our own generator'}")
    for load in loads:
        table = Table(title=str(load), box=None, title_justify="left")
        for column in ("row", "requests/s", "p50 ms", "p99 ms", "of bare", "CPU µs per request", "not as wanted"):
            table.add_column(column, justify="left" if column in ("row", "CPU µs per request") else "right")
        named = {row.name: row for row in rows}
        bare = median(named[BARE], load, "rps")
        for row in rows:
            wrong = sum(number for result in row.results[load] for status, number in result["statuses"].items()
                        if status != row.wanted)
            table.add_row(row.name, f"{median(row, load, 'rps'):.0f}", f"{median(row, load, 'p50'):.2f}",
                          f"{median(row, load, 'p99'):.2f}", f"{median(row, load, 'rps') / bare:.2f}",
                          "  ".join(f"{name} {value:.0f}" for name, value in cpu_us(row, load).items()), str(wrong))
        console.print(table)
        hop, guarded, rejected, large = (cpu_us(named[name], load) for name in (
            BARE, "Weir, guarded", "Weir, guarded, rejected", "Weir, guarded, large"))
        console.print(f"policy, CPU of a guarded call: {guarded['policy'] / hop['hop']:.2f} of a bare hop; large "
                      f"{large['policy'] / guarded['policy']:.2f} of guarded; all processes, a rejected call "
                      f"{sum(rejected.values()) / sum(guarded.values()):.2f} of an admitted one\n")


def cpu_us(row: Row, load: Load) -> dict[str, float]:
    """CPU µs per request by process, medians over the rounds."""
    return {name: statistics.median(result["cpu_us"][name] for result in row.results[load]) for name in row.processes}


def median(row: Row, load: Load, figure: str) -> float:
    """Median of a figure over the rounds."""
    return statistics.median(result[figure] for result in row.results[load])


if __name__ == "__main__":
    main()
