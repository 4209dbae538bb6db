"""The workflow engine under measurement: what steps cost, what waits cost.

Each line is a ratio or a figure of one run; the loads run one after the other.
"""

import json
import statistics
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Protocol

import psutil
import redis

from tests.support.platform import Platform

PASSES, CALLS, STUB_MS, AT_ONCE, DELAYED = 1_000, 3_000, 100, 200, 10_000
# requests a second at which the executor is compared with the bare echo: batches are as large on both sides then
RATE = 1_000
PROJECT = "engine"


class Drive(Protocol):
    """Load a URL; without a rate in a closed loop."""

    def __call__(self, url: str, connections: int, wanted_s: float, rate: int = 0) -> dict[str, Any]:
        """Requests a second, latencies, statuses."""


def steps(*kinds: dict[str, Any], **more: Any) -> str:
    """A workflow; JSON is YAML."""
    return json.dumps({**more, "steps": [{"id": f"s{number}", **kind} for number, kind in enumerate(kinds)]})


def files(stub: str) -> dict[str, str]:
    """One operation for each line of the report."""
    one, answer = {"transform": {"value": "{% trigger.body.name %}"}}, {"reply": {"body": "{% trigger.body %}"}}
    three = (one, one, one, answer)
    branch = {"branch": {"if": "$exists(trigger.body.name)", "then": [{"id": "then", **one}],
                         "else": [{"id": "else", **one}]}}
    loop = {"loop": {"over": f"{{% [1..{PASSES}] %}}", "steps": [
        {"id": "pass", "transform": {"value": "{% loop.item %}"}}]}}
    calls = {"loop": {"over": f"{{% [1..{CALLS}] %}}", "concurrency": AT_ONCE, "steps": [
        {"id": "call", "http": {"url": stub, "parse": "none"}}]}}
    workflows = {"reply": steps(answer), "branch": steps(one, branch, answer), "loop": steps(loop, {"reply": {}}),
                 "calls": steps(calls, {"reply": {}}), "express": steps(*three), "durable": steps(*three, durable=True),
                 "wait": steps({"delay": {"for": "1h"}}, answer, durable=True)}
    operations = [{"name": name, "method": "POST", "path": f"/{name}", "workflow": name, "public": True,
                   "timeout": "60s", **({"mode": "validate", "run_timeout": "1d"} if name == "wait" else {})}
                  for name in workflows]
    return {"weir.yaml": json.dumps({"name": PROJECT}), "operations.yaml": json.dumps({"operations": operations}),
            **{f"workflows/{name}.yaml": text for name, text in workflows.items()}}


def measure(cluster: Platform, drive: Drive, worker_us: Mapping[int, float], seconds: float) -> list[str]:
    """Lines of the report. `worker_us`: CPU of the bare echo's last hop, by rate; 0 is the closed loop."""
    base = f"{cluster.ingress}/{PROJECT}"
    executor = psutil.Process(cluster.processes()["executor-0"].pid)

    def cost(path: str, paced: int = 0) -> float:
        drive(base + path, 64, 1, paced)
        before = executor.cpu_times()
        requests = drive(base + path, 64, seconds, paced)["rps"] * seconds
        after = executor.cpu_times()
        return (after.user + after.system - before.user - before.system) * 1e6 / requests

    def rate(path: str) -> float:
        drive(base + path, 64, 1)
        return float(drive(base + path, 64, seconds)["rps"])
    reply_us, branch_us, paced_us = cost("/reply"), cost("/branch"), cost("/branch", RATE)
    idle_ms, loop_ms = latency_ms(base + "/reply"), latency_ms(base + "/loop")
    calls_s = latency_ms(base + "/calls", times=1) / 1000
    express, durable = rate("/express"), rate("/durable")
    return [
        f"executor, CPU of transform + branch + reply: {branch_us / reply_us:.2f} of a reply alone, "
        f"of the bare echo's last hop {paced_us / worker_us[RATE]:.2f} at {RATE} requests/s and "
        f"{branch_us / worker_us[0]:.2f} in closed loops, where the bare echo's batches are larger",
        f"a loop of {PASSES} passes: {loop_ms - idle_ms:.1f} ms more than a reply alone",
        f"{AT_ONCE} http steps at once to a stub of {STUB_MS} ms: {CALLS / calls_s:.0f} calls/s",
        f"durable runs of three steps: {durable / express:.2f} of the express rate",
        waiting(cluster, drive, base + "/wait", executor)]


def latency_ms(url: str, times: int = 15) -> float:
    """Median of one call at a time."""
    found = []
    for _ in range(times):
        began = time.monotonic()
        request = urllib.request.Request(url, method="POST", data=b"{}", headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=70) as answer:
            answer.read()
        found.append((time.monotonic() - began) * 1000)
    return statistics.median(found)


def waiting(cluster: Platform, drive: Drive, url: str, executor: psutil.Process) -> str:
    """What executions that wait hold, in the executor and in the store."""
    with redis.Redis.from_url(cluster.redis_url) as store:
        def held() -> tuple[float, float, int]:
            return (executor.memory_info().rss / 1e6, int(store.info("memory")["used_memory"]) / 1e6,
                    int(store.zcard("weir:waiting")))
        drive(url, 32, 1)
        time.sleep(3)
        before = held()
        while held()[2] - before[2] < DELAYED:
            drive(url, 32, 2)
        time.sleep(3)
        after = held()
    scale = DELAYED / (after[2] - before[2])
    return (f"{DELAYED} durable runs that wait: {max(0.0, after[0] - before[0]) * scale:.0f} MB in the executor, "
            f"{(after[1] - before[1]) * scale:.0f} MB in the store")
