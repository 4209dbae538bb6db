"""The special benches, as parts of the whole run; each can be run by itself as well.

In:    the bed, how long one load takes.
Out:   lines of the report.
Never: a cluster beside the one of the bench while that one is measured: those that need their own come afterwards.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil

from tests.bench import allowance, detectors, engine, projects, tracing, variants
from tests.bench.bed import Bed
from tests.bench.drive import drive_url
from tests.bench.rounds import measure
from tests.bench.rows import BARE, JSON_BODY, Load, prepare
from tests.support.platform import ROOT

VARIANT_ROUNDS, VARIANT_S = 20, 1.0


class Special(NamedTuple):
    """`took_s`: about how long it takes, when a load takes so long."""

    run: Callable[[Bed, float], list[str]]
    took_s: Callable[[float], float]


class Alone(NamedTuple):
    """One on clusters of its own."""

    run: Callable[[], list[str]]
    took_s: float


def _drive(url: str, connections: int, wanted_s: float, rate: int = 0) -> dict[str, Any]:
    return drive_url(url, [JSON_BODY], connections, wanted_s, rate)


def _engine(bed: Bed, seconds: float) -> list[str]:
    """With a slow outside system beside it."""
    url, _ = bed.serving("slow", str(engine.STUB_MS))
    bed.project(engine.PROJECT, engine.files(url))
    bed.configured()
    [bare] = prepare(bed, [BARE])
    worker_us = {rate: measure(bed, bare, Load(64, rate), seconds)["cpu_us"]["worker"] for rate in (0, engine.RATE)}
    return engine.measure(bed.cluster, _drive, worker_us, seconds)


def _restart(bed: Bed, _seconds: float) -> list[str]:
    """Memory of policy with a large configuration, and how long a new one takes until it is ready."""
    bed.token("large", projects.large())
    bed.configured()
    bed.settle()
    before = bed.cluster.processes()["policy-0"]
    memory_mb = psutil.Process(before.pid).memory_info().rss / 1e6
    os.kill(before.pid, signal.SIGKILL)
    while (now := bed.cluster.processes()["policy-0"]).pid in (0, before.pid):
        time.sleep(0.02)
    ready_s = _ready(now.ready_url) - now.created
    return [f"policy, with {projects.OPERATIONS} operations, {projects.POLICIES} policies, {projects.NETWORKS} "
            f"networks, {projects.CLIENTS} clients: {memory_mb:.0f} MB resident, ready {ready_s:.1f} s after its start"]


def _ready(url: str) -> float:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return time.time()
        except OSError:
            time.sleep(0.05)


def _by_itself(name: str) -> Callable[[], list[str]]:
    def run() -> list[str]:
        done = subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], cwd=ROOT, stdout=subprocess.PIPE,
                              text=True, check=True)
        return done.stdout.splitlines()
    return run


SPECIALS: dict[str, Special] = {
    "engine": Special(_engine, lambda seconds: 60 + 12 * seconds),
    "allowance": Special(lambda bed, _: allowance.measure(bed.cluster, _drive), lambda _: 40),
    "detectors": Special(lambda bed, _: detectors.measure(bed.cluster), lambda _: 60),
    "tracing": Special(lambda bed, seconds: tracing.measure(bed.cluster, seconds),
                       lambda seconds: tracing.TURNS * len(tracing.RATIOS) * (seconds + 1) + 5),
    # the last one: it starts policy anew, so what was known of its process is no longer true
    "restart": Special(_restart, lambda _: 20),
}
ALONE: dict[str, Alone] = {
    "variants": Alone(lambda: [variants.telling(VARIANT_ROUNDS, VARIANT_S)], 60 + VARIANT_ROUNDS * 3 * 1.7),
    "metering": Alone(_by_itself("metering"), 400),
    "growth": Alone(_by_itself("growth"), 500),
}
