"""What looking for abuse costs, and how soon who is found is stopped at the edge.

Each line is a figure of one run, on a cluster of the measurement's own: `python -m tests.bench.detectors`, or a part of
`make bench`.
"""

import asyncio
import json
import random
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from services.analytics.abuse_book import AbuseBook
from services.analytics.detectors.registry import DETECTORS
from services.analytics.recall import Recall
from services.analytics.sightings import Gathered, Row, Sightings
from shared.contracts import token as tokens
from shared.contracts.usage import UsageEvent
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from tests.support import platform as platforms
from tests.support.platform import PROXY, Platform, eventually

PROJECT, EVENTS, BUDGET_NS, BLOCKS, TOGETHER = "abuse", 100_000, 10_000, 50, 10
NOW = 1_800_000_000_000
ABUSE = {"clients": [{"name": "c"}], "abuse": {
    "action": "block", "for": "10m", "credential_burst": {"failures": 10, "proofs": 5}}}


def measure(cluster: Platform) -> list[str]:
    """Lines of the report."""
    return [*(_seeing(clients) for clients in (100, 10_000)), *asyncio.run(_remembering(cluster)),
            *asyncio.run(_blocking(cluster))]


def _events(clients: int) -> list[UsageEvent]:
    chance = random.Random(1)
    numbers = [chance.randrange(clients) for _ in range(EVENTS)]
    return [UsageEvent(
        kind="request", id=str(number), time=NOW + number // 100, project="p", operation="o", client=f"c{who}",
        source="edge", status=200, reason="ok", token=f"t{who}", address=f"10.{who // 250}.{who % 250}.1")
        for number, who in enumerate(numbers)]


def _seeing(clients: int) -> str:
    events, best = _events(clients), float("inf")
    for _ in range(5):
        seen, began = Sightings(), time.thread_time_ns()
        seen.see(events)
        best = min(best, (time.thread_time_ns() - began) / len(events))
    began, gathered = time.thread_time_ns(), Gathered()
    seen.weigh([])
    gathered.take(seen)
    parts = [len(part) for part in gathered.rows(10**9)]
    took_ms = (time.thread_time_ns() - began) / 1e6
    return (f"detectors, {clients} clients: {best:.0f} ns of CPU an event, {best / BUDGET_NS:.1%} of a process that "
            f"takes 100,000 a second; {sum(parts)} rows in {len(parts)} parts, {took_ms:.0f} ms of CPU")


async def _remembering(cluster: Platform) -> list[str]:
    store = Store(RedisSettings(url=cluster.redis_url), patient=True)
    recall, abuse = Recall(store), AbuseBook("observe").of("").abuse
    lines = []
    for detector in DETECTORS:
        event = _events(1)[0]
        rows = [(Row(detector, "ip", str(number), NOW // 5_000, event, hits=1, marks={"a"}, samples=["r"]),
                 detector.span(abuse)) for number in range(5_000)]
        before = await _in_scripts(store)
        await recall.add(rows)
        lines.append(f"{detector.name} {(await _in_scripts(store) - before) / len(rows):.0f}")
    await store.stop()
    return [f"detectors, memory in Redis, µs a row: {', '.join(lines)}"]


async def _in_scripts(store: Store) -> int:
    """Microseconds that the store has spent in scripts so far, by its own count."""
    found = re.search(r"cmdstat_evalsha:calls=\d+,usec=(\d+)", (await store.command("INFO", "commandstats")).decode())
    return int(found[1]) if found else 0


async def _blocking(cluster: Platform) -> list[str]:
    async with ClientSession(connector=TCPConnector(local_addr=(PROXY, 0), limit=0)) as proxy:
        token = _open(cluster)
        await asyncio.sleep(2)
        gate = asyncio.Semaphore(TOGETHER)
        found = await asyncio.gather(*(_until_blocked(cluster, proxy, gate, token, f"203.0.113.{number}")
                                       for number in range(BLOCKS)))
        by_hand = [await _block_by_hand(cluster, proxy, token, f"198.51.100.{number}") for number in range(BLOCKS)]
    return [_line("found by a detector, from the last guess to 403 at the edge", found),
            _line("blocked by hand, from the answer of the admin API to 403 at the edge", by_hand)]


def _open(cluster: Platform) -> str:
    operations = [{"name": "ask", "method": "GET", "path": "/ask", "workflow": "w"}]
    cluster.admin("POST", f"/projects/{PROJECT}/versions", {"files": {
        "weir.yaml": f"name: {PROJECT}\n", "operations.yaml": json.dumps({"operations": operations}),
        "access.yaml": json.dumps(ABUSE), "workflows/w.yaml": "steps:\n  - id: answer\n    reply: {body: 1}\n"}})
    made: str = cluster.admin("POST", f"/projects/{PROJECT}/clients/c/tokens", {})["token"]
    return made


async def _until_blocked(cluster: Platform, proxy: ClientSession, gate: asyncio.Semaphore, token: str,
                         address: str) -> float:
    async with gate:
        for _ in range(12):
            await _ask(cluster, proxy, tokens.new_token(), address)
        return await _wait(cluster, proxy, token, address)


async def _block_by_hand(cluster: Platform, proxy: ClientSession, token: str, address: str) -> float:
    await asyncio.to_thread(cluster.admin, "POST", f"/projects/{PROJECT}/signals",
                            {"kind": "ip", "subject": address, "for_s": 60})
    return await _wait(cluster, proxy, token, address)


async def _wait(cluster: Platform, proxy: ClientSession, token: str, address: str) -> float:
    began = time.monotonic()

    async def blocked() -> bool:
        return await _ask(cluster, proxy, token, address) == 403
    await eventually(blocked, within_s=30, every_s=0.005)
    return time.monotonic() - began


async def _ask(cluster: Platform, proxy: ClientSession, token: str, address: str) -> int:
    async with proxy.get(f"{cluster.ingress}/{PROJECT}/ask", headers={
            "Authorization": f"Bearer {token}", "X-Forwarded-For": address}) as answer:
        await answer.read()
        return answer.status


def _line(what: str, took: list[float]) -> str:
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{what}, {len(took)} times: p50 {statistics.median(took) * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms"


def main() -> None:
    """On a cluster of its own."""
    with tempfile.TemporaryDirectory() as folder:
        cluster: Any = platforms.start(Path(folder), "--no-example")
        try:
            print("\n".join(measure(cluster)))
        finally:
            platforms.stop(cluster)


if __name__ == "__main__":
    main()
