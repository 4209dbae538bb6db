"""Counting under measurement: how fast one analytics process counts, what a query costs, what counting costs others.

`python -m tests.bench.metering [count] [query] [scale] [memory] [share]`; each prints its figures, and asserts nothing.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import redis

from shared.contracts.usage import Envelope, UsageEvent
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.settings.kafka import KafkaSettings
from tests.bench import projects
from tests.bench.drive import cpu_s
from tests.bench.projects import BODY
from tests.support import platform as platforms
from tests.support.platform import ROOT, Platform

EVENTS, PER_ENVELOPE = 400_000, 100
CLIENTS, OPERATIONS = 10_000, 100
MEMORY_EVENTS, LOOKS = 1_000_000, 8
DAY_MS = 86_400_000
QUERY_RATE, QUERY_EVERY_S = 3_000, 0.2
PROJECT = "metered"


def events(count: int, clients: int, operations: int, since_ms: int, span_ms: int) -> Iterator[UsageEvent]:
    """Requests spread evenly over a span of time, by clients and operations at random."""
    chance = random.Random(1)
    for number in range(count):
        refused = number % 7 == 0
        yield UsageEvent(
            kind="request", id=f"01900000-0000-7000-8000-{number:012x}", time=since_ms + number * span_ms // count,
            project=PROJECT, operation=f"operation-{chance.randrange(operations)}",
            client=f"client-{chance.randrange(clients)}", source="edge", status=429 if refused else 200,
            reason="rate-limited" if refused else "ok", tasks=0 if refused else 4, bytes_in=120, bytes_out=900,
            timing={"policy-queue": chance.randrange(500, 3_000), "policy": 150,
                    "executor-queue": chance.randrange(500, 3_000), "executor": chance.randrange(1_000, 40_000)},
            trace_id=f"{number:032x}", origin=f"bench.{since_ms}/{number % 4}/{number // 4}")


async def publish(bootstrap: str, found: Iterator[UsageEvent], producer: str) -> int:
    """Envelopes onto the topic; how many."""
    outbox, sequence, batch = Outbox(KafkaSettings(bootstrap=bootstrap)), 0, []
    await outbox.start()
    last: asyncio.Future[None] | None = None
    for one in found:
        batch.append(one)
        if len(batch) == PER_ENVELOPE:
            last = outbox.send(topics.USAGE, *Envelope(producer=producer, sequence=sequence, events=batch).to_record())
            sequence, batch = sequence + 1, []
            if sequence % 50 == 0:
                await last
    if last is not None:
        await last
    await outbox.stop()
    return sequence


class Bench:
    """A cluster of its own, and a topic that can be counted again from its beginning."""

    def __init__(self, analytics: int = 1) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.cluster = platforms.start(Path(self.folder.name), "--no-example", "--scale", f"analytics={analytics}")
        self.cluster.admin("POST", f"/projects/{PROJECT}/versions", {"files": {
            **projects.open_project(), "weir.yaml": json.dumps({"name": PROJECT})}})
        time.sleep(3)
        self.store = redis.Redis.from_url(self.cluster.redis_url)
        self.names = [f"analytics-{number}" for number in range(analytics)]

    def close(self) -> None:
        """Take the cluster down."""
        self.store.close()
        platforms.stop(self.cluster)
        self.folder.cleanup()

    def publish(self, found: Iterator[UsageEvent]) -> None:
        """Fill the topic."""
        asyncio.run(publish(self.cluster.bootstrap, found, f"bench-{time.monotonic_ns()}"))

    def counted(self) -> int:
        """Requests counted so far."""
        return int(self.store.hget("weir:usage:stream", "requests") or 0)

    def again(self) -> list[psutil.Process]:
        """Forget all that was counted and start analytics anew: it counts the topic from its beginning."""
        before = {name: self.cluster.processes()[name].pid for name in self.names}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        self.store.flushdb()
        while any(self.cluster.processes()[name].pid in (0, pid) for name, pid in before.items()):
            time.sleep(0.02)
        return [psutil.Process(self.cluster.processes()[name].pid) for name in self.names]

    def drain(self, processes: list[psutil.Process], wanted: int) -> "Drain":
        """Watch until so many are counted; the start of the processes is left out."""
        store = psutil.Process(self.cluster.processes()["valkey"].pid)
        while not self.counted():
            time.sleep(0.005)
        began, first = time.monotonic(), self.counted()
        before, store_before = [cpu_s(process) for process in processes], cpu_s(store)
        result = Drain()
        while (now := self.counted()) < wanted:
            if now > (len(result.memory_mb) + 1) * wanted / (LOOKS + 1):
                result.memory_mb.append(sum(process.memory_info().rss for process in processes) / 1e6)
            time.sleep(0.01)
        result.events, result.seconds = wanted - first, time.monotonic() - began
        result.cpu_s = [cpu_s(process) - used for process, used in zip(processes, before, strict=True)]
        result.store_s = cpu_s(store) - store_before
        return result


@dataclass
class Drain:
    """What counting a topic took."""

    events: int = 0
    seconds: float = 0.0
    cpu_s: list[float] = field(default_factory=list)
    store_s: float = 0.0
    memory_mb: list[float] = field(default_factory=list)


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def count(bench: Bench) -> None:
    """How fast one process counts, and whether a second one halves its work."""
    bench.publish(events(EVENTS, 20, 5, now_ms() - 600_000, 600_000))
    for number in (1, 2):
        found = bench.drain(bench.again(), EVENTS)
        rate = found.events / sum(found.cpu_s)
        print(f"counting, run {number}: {rate:.0f} events per second and core, {1e6 / rate:.1f} us an event; "
              f"{found.events / found.seconds:.0f}/s on this machine; the store "
              f"{found.store_s * 1e6 / found.events:.1f} us an event", flush=True)


def scale(bench: Bench) -> None:
    """Two processes over the same topic."""
    bench.publish(events(EVENTS, 20, 5, now_ms() - 600_000, 600_000))
    found = bench.drain(bench.again(), EVENTS)
    shares = [used / sum(found.cpu_s) for used in found.cpu_s]
    print(f"two analytics processes: {' and '.join(f'{share:.0%}' for share in shares)} of the work, "
          f"{found.events / found.seconds:.0f} events/s together", flush=True)


def memory(bench: Bench) -> None:
    """A day of a project that many use in many ways, counted again."""
    day = now_ms() // DAY_MS * DAY_MS - DAY_MS
    bench.publish(events(MEMORY_EVENTS, CLIENTS, OPERATIONS, day, DAY_MS))
    found = bench.drain(bench.again(), MEMORY_EVENTS)
    print(f"a day of {CLIENTS} clients x {OPERATIONS} operations, {MEMORY_EVENTS} events: analytics had "
          f"{', '.join(f'{size:.0f}' for size in found.memory_mb)} MB at equal steps of the day; "
          f"{found.events / sum(found.cpu_s):.0f} events per second and core, "
          f"{found.events / found.seconds:.0f}/s on this machine; the store has "
          f"{int(bench.store.info('memory')['used_memory']) / 1e6:.0f} MB", flush=True)


def load(url: str, token: str, seconds: float, rate: int) -> subprocess.Popen[str]:
    """Calls over HTTP, from a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load", url, "64", str(seconds), str(rate), "POST", BODY,
         "Content-Type: application/json", f"Authorization: Bearer {token}"], cwd=ROOT, stdout=subprocess.PIPE,
        text=True)


def rps(process: subprocess.Popen[str]) -> float:
    """Answers a second of a load that has ended."""
    out, _ = process.communicate()
    return float(json.loads(out)["rps"])


def token_of(cluster: Platform) -> str:
    """A token of the project's client."""
    made: str = cluster.admin("POST", f"/projects/{PROJECT}/clients/load/tokens", {})["token"]
    return made


def asked(cluster: Platform, path: str, seconds: float) -> list[float]:
    """Milliseconds of each answer of the admin API, over one connection, as a dashboard asks."""
    parts, took, token = urlsplit(cluster.control), list[float](), cluster.admin_token
    connection = HTTPConnection(str(parts.hostname), parts.port)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        connection.request("GET", f"/v1{path}", headers={"Authorization": f"Bearer {token}"})
        with connection.getresponse() as answer:
            answer.read()
        took.append((time.monotonic() - began) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status}")
        time.sleep(QUERY_EVERY_S)
    connection.close()
    return took


def query(bench: Bench, seconds: float) -> None:
    """Queries of the last day, by operation and client: alone, beside calls that run, beside calls of nothing.

    A machine that cannot run so many calls can refuse as many; each is counted.
    """
    bench.publish(events(100_000, 20, 10, now_ms() - DAY_MS, DAY_MS))
    token = token_of(bench.cluster)
    time.sleep(4)
    for what, path in (("no calls", None), ("calls that run", "echo"), ("calls that the edge refuses", "nothing")):
        running = load(f"{bench.cluster.ingress}/{PROJECT}/{path}", token, seconds, QUERY_RATE) if path else None
        time.sleep(1)
        took = asked(bench.cluster, f"/projects/{PROJECT}/usage?by=operation,client", seconds - 2)
        given = f"{rps(running):.0f} of {QUERY_RATE} {what} a second" if running is not None else what
        took.sort()
        print(f"a usage query of the last day, 200 groups, beside {given}: p50 {statistics.median(took):.1f} ms, "
              f"p99 {took[int(len(took) * 0.99)]:.1f} ms, {len(took)} queries", flush=True)


def share(seconds: float, rounds: int) -> None:
    """Calls on a cluster that counts beside calls on one that does not, in turns."""
    benches = [Bench(1), Bench(0)]
    try:
        tokens = [token_of(bench.cluster) for bench in benches]
        time.sleep(3)
        counted = {name: psutil.Process(process.pid) for name, process in benches[0].cluster.processes().items()}
        before, calls = {name: cpu_s(process) for name, process in counted.items()}, 0.0
        rates: list[list[float]] = [[], []]
        for number in range(rounds + 1):
            for at, (bench, token) in enumerate(zip(benches, tokens, strict=True)):
                found = rps(load(f"{bench.cluster.ingress}/{PROJECT}/echo", token, seconds, 0))
                calls += found * seconds if at == 0 else 0
                if number:
                    rates[at].append(found)
        used = {name: (cpu_s(process) - before[name]) * 1e6 / calls for name, process in counted.items()}
        on, off = (statistics.median(found) for found in rates)
        print(f"calls/s with analytics {on:.0f}, without {off:.0f}: {(off - on) / off:+.1%}; rounds "
              f"{[f'{a:.0f}/{b:.0f}' for a, b in zip(*rates, strict=True)]}; CPU of a call "
              f"{sum(used.values()):.0f} us, {used['analytics-0']:.0f} of them analytics "
              f"({used['analytics-0'] / sum(used.values()):.1%})", flush=True)
    finally:
        for bench in benches:
            bench.close()


def main() -> None:
    """Run what is named, or all."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.metering", description=__doc__)
    arguments.add_argument("what", nargs="*", default=["count", "query", "scale", "memory", "share"])
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    for name in options.what:
        if name == "share":
            share(options.seconds, options.rounds)
            continue
        bench = Bench(2 if name == "scale" else 1)
        try:
            {"count": count, "scale": scale, "memory": memory,
             "query": lambda one: query(one, 3 * options.seconds)}[name](bench)
        finally:
            bench.close()


if __name__ == "__main__":
    main()
