"""Load one URL: by wrk where it is installed, else by our own generator in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import psutil

from tests.bench import wrk
from tests.bench.projects import BODY
from tests.support.platform import ROOT


def drive_url(url: str, headers: Sequence[str], connections: int, seconds: float, rate: int = 0) -> dict[str, Any]:
    """A closed loop, or so many requests a second, evenly spaced: rates, latencies, statuses."""
    if wrk.available() and not rate:
        return wrk.drive(url, connections, seconds, "POST", BODY, list(headers))
    done = subprocess.run([sys.executable, "-m", "tests.bench.load", url, str(connections), str(seconds), str(rate),
                           "POST", BODY, *headers], cwd=ROOT, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    result["statuses"] = {int(status): count for status, count in result["statuses"].items()}
    return result


def cpu_s(process: psutil.Process) -> float:
    """User and system time so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
