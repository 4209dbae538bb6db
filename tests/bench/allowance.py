"""How far traffic goes beyond the end of an allowance: tasks let in before policy knew, in seconds of traffic.

Each line is a figure of one run, on a cluster of the measurement's own.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from tests.support.platform import Platform

# the trigger and one step
COST = 2
PROJECT = "allowance"
AHEAD_S = 3
Drive = Callable[[str, int, float], dict[str, Any]]


def files(tasks: int) -> dict[str, str]:
    """One open operation; JSON is YAML."""
    return {"weir.yaml": json.dumps({"name": PROJECT, "allowance": {"tasks": tasks}}),
            "operations.yaml": json.dumps({"operations": [{"name": "echo", "method": "POST", "path": "/echo",
                                                           "workflow": "echo", "public": True}]}),
            "workflows/echo.yaml": json.dumps({"steps": [{"id": "answer", "reply": {"body": 1}}]})}


def measure(cluster: Platform, drive: Drive) -> list[str]:
    """Lines of the report. `drive`: URL, connections, seconds."""
    lines = []
    for connections in (1, 64):
        _apply(cluster, 10**9)
        # warm first: the end comes at the rate that is measured here
        drive(f"{cluster.ingress}/{PROJECT}/echo", connections, 1)
        rate = drive(f"{cluster.ingress}/{PROJECT}/echo", connections, AHEAD_S)["rps"]
        tasks = _spent(cluster) + int(rate * AHEAD_S) * COST
        _apply(cluster, tasks)
        drive(f"{cluster.ingress}/{PROJECT}/echo", connections, 2 * AHEAD_S + 1)
        over = _spent(cluster) - tasks
        lines.append(f"allowance, {connections} connections in a closed loop, {rate:.0f} calls/s: {over} tasks beyond "
                     f"its end, {over / (rate * COST):.3f} s of traffic")
    return lines


def _apply(cluster: Platform, tasks: int) -> None:
    cluster.admin("POST", f"/projects/{PROJECT}/versions", {"files": files(tasks)})
    time.sleep(1)


def _spent(cluster: Platform) -> int:
    """Once it does not change any more."""
    before = -1
    while True:
        [row] = cluster.admin("GET", f"/projects/{PROJECT}/allowance")
        if row["spent"] == before:
            return before
        before = int(row["spent"])
        time.sleep(1)
