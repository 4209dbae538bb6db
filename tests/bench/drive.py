"""Run one load in a process of its own, and look at what else happens meanwhile."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import psutil

from tests.bench.projects import BODY
from tests.support.platform import ROOT


def drive_url(url: str, headers: Sequence[str], connections: int, seconds: float, rate: float = 0) -> dict[str, Any]:
    """A closed loop, or so many requests a second, evenly spaced: rates, latencies, statuses."""
    return run(load(url, headers, connections, seconds, rate))


def load(url: str, headers: Sequence[str], connections: int, seconds: float, rate: float = 0) -> list[str]:
    """The command of a load on one URL."""
    return [sys.executable, "-m", "tests.bench.load", url, str(connections), str(seconds), str(rate), "POST", BODY,
            *headers]


def publish(*arguments: object) -> list[str]:
    """The command of a load without HTTP; what it takes, `publisher.py` says."""
    return [sys.executable, "-m", "tests.bench.publisher", *map(str, arguments)]


def run(command: Sequence[str], warm_s: float = 0.0, at_mark: Callable[[str], None] | None = None) -> dict[str, Any]:
    """The result of a load; `at_mark` hears when the time that counts begins and when it ends."""
    extra = ["--warm", str(warm_s), *(["--marks"] if at_mark else [])]
    result: dict[str, Any] = {}
    with subprocess.Popen([*command[:3], *extra, *command[3:]], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    result = json.loads(line)
                elif at_mark is not None:
                    at_mark(line.strip())
        finally:
            if not result:
                process.kill()
    if not result:
        raise RuntimeError(f"no result of {' '.join(command[:3])}: exit {process.returncode}")
    result["statuses"] = {int(status): count for status, count in result["statuses"].items()}
    result["of"] = {int(status): found for status, found in result["of"].items()}
    return result


def cpu_s(process: psutil.Process) -> float:
    """User and system time so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
