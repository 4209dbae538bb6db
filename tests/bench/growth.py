"""What growth costs: the same calls on a cluster as it comes, and on one that has more of something.

`python -m tests.bench.growth [partitions] [topics] [processes] [copies] [size]`; each prints its figures, and asserts
nothing. Two clusters run side by side and are loaded in turn, so what else the machine does meets both; a ratio is the
median over rounds, its spread from the lowest to the highest.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from orjson import dumps

from shared.contracts.config import Client, Token, to_value
from shared.kafka.outbox import Outbox
from shared.kafka.topics import ensure_topics
from shared.names import topics
from shared.names.topics import Topic
from shared.settings.kafka import KafkaSettings
from tests.bench import projects, stats
from tests.bench.drive import cpu_s, load, run
from tests.support import platform as platforms
from tests.support.platform import Platform
from tests.support.three_brokers import Brokers, three_brokers

RATE, CONNECTIONS, WARM_S = 1_200, 64, 1.0
# not that of replies: each process that waits for answers needs one of its own
PARTITIONED = (topics.REQUESTS_EDGE, topics.REQUESTS_INTERNAL, topics.EXECUTIONS, topics.USAGE)
REPLY_TOPICS = 300
PROJECTS, CLIENTS, TOKENS_EACH = 200, 10_000, 2
_OURS, _OTHERS = PARTS = ("the services", "broker and store")
Env = Mapping[str, str]


def partitions(count: int) -> Env:
    """Every topic of the request path has so many."""
    return {"WEIR_KAFKA_PARTITIONS": dumps(dict.fromkeys(PARTITIONED, count)).decode()}


class Side:
    """One cluster, and calls of one operation on it."""

    def __init__(self, stack: ExitStack, name: str, files: Mapping[str, str], *arguments: str,
                 env: Env | None = None, rate: int = RATE, brokers: Brokers | None = None) -> None:
        """Starts it; `stack` takes it down. `rate`: requests a second. `brokers`: those of `env`, if not its own."""
        self.name, self.rate, self._brokers = name, rate, brokers
        self.cluster: Platform = platforms.start(
            Path(stack.enter_context(tempfile.TemporaryDirectory())), "--no-example", *arguments, env=env)
        stack.callback(platforms.stop, self.cluster)
        self._project = json.loads(files["weir.yaml"])["name"]
        self.cluster.admin("POST", f"/projects/{self._project}/versions", {"files": dict(files)})
        token = self.cluster.admin("POST", f"/projects/{self._project}/clients/load/tokens", {})["token"]
        self._headers = ["Content-Type: application/json", f"Authorization: Bearer {token}"]
        time.sleep(3)

    def load(self, seconds: float) -> dict[str, float]:
        """CPU µs of a request, by PARTS: services are ours, the broker and the store are not."""
        marks: dict[str, dict[str, float]] = {}

        def at_mark(word: str) -> None:
            marks[word] = self._cpu_s()
        found = run(load(f"{self.cluster.ingress}/{self._project}/echo", self._headers, CONNECTIONS, seconds,
                         self.rate), WARM_S, at_mark)
        assert set(found["statuses"]) == {200}, found["statuses"]
        requests = sum(found["statuses"].values())
        return {part: (marks["end"][part] - marks["begin"][part]) * 1e6 / requests for part in PARTS}

    def _cpu_s(self) -> dict[str, float]:
        used = dict.fromkeys(PARTS, 0.0)
        for name, process in self.cluster.processes().items():
            used[_OTHERS if name in ("kafka", "valkey") else _OURS] += cpu_s(psutil.Process(process.pid))
        for pid in self._brokers.pids if self._brokers is not None else ():
            used[_OTHERS] += cpu_s(psutil.Process(pid))
        return used


def compare(those: Side, these: Sequence[Side], rounds: int, seconds: float) -> None:
    """Print what a request costs on each cluster beside the first."""
    sides = [those, *these]
    for side in sides:
        side.load(1)
    costs: dict[str, list[dict[str, float]]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in random.sample(sides, len(sides)):
            costs[side.name].append(side.load(seconds))
    for side in sides:
        told = []
        for part in PARTS:
            here, there = ([one[part] for one in costs[name]] for name in (side.name, those.name))
            found = stats.ratio(here, there)
            told.append(f"CPU of {part} {statistics.median(here):.0f} µs a request, {found.median:.2f} "
                        f"({found.low:.2f} to {found.high:.2f}) of {those.name}")
        print(f"{side.name}, {side.rate} requests/s: {'; '.join(told)}", flush=True)


def by_partitions(rounds: int, seconds: float) -> None:
    """One partition, and many."""
    with ExitStack() as stack:
        sides = [Side(stack, f"{count} partitions", projects.standard(), env=partitions(count)) for count in (4, 1, 24)]
        compare(sides[0], sides[1:], rounds, seconds)


def by_topics(rounds: int, seconds: float) -> None:
    """Weir's own topics, and beside them those of as many internal services as a large company has."""
    with ExitStack() as stack:
        own = Side(stack, "Weir's own topics", projects.standard())
        more = Side(stack, f"{REPLY_TOPICS} topics more", projects.standard())
        asyncio.run(ensure_topics(more.cluster.kafka, [
            Topic(name=f"replies.service-{number}", value="", writers=(), readers=(), partitions=1, configs={})
            for number in range(REPLY_TOPICS)]))
        compare(own, [more], rounds, seconds)


def by_processes(rounds: int, seconds: float) -> None:
    """Two of each service: for twice the calls, which is as many for each, and for the same calls, where both pay what
    a fetch and a batch cost."""
    two = ("--scale", "policy=2,executor=2,ingress=2,analytics=2")
    with ExitStack() as stack:
        compare(Side(stack, "one process of each service", projects.standard(), rate=RATE // 2), [
            Side(stack, "two of each for twice the calls", projects.standard(), *two),
            Side(stack, "two of each for the same calls", projects.standard(), *two, rate=RATE // 2)], rounds, seconds)


def by_copies(rounds: int, seconds: float) -> None:
    """One broker that keeps all, and three that keep three copies, two of which a writer waits for."""
    with ExitStack() as stack:
        brokers = stack.enter_context(three_brokers(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        compare(Side(stack, "one broker", projects.standard()), [
            Side(stack, "three brokers, three copies", projects.standard(), brokers=brokers, env={
                "WEIR_KAFKA_BOOTSTRAP": brokers.bootstrap, "WEIR_KAFKA_REPLICATION": "3"})], rounds, seconds)


def by_size(rounds: int, seconds: float) -> None:
    """Everything that is promised of a configuration, at once."""
    with ExitStack() as stack:
        small = Side(stack, "a small configuration", projects.standard())
        large = Side(stack, "a large one", projects.large())
        asyncio.run(_fill(large.cluster))
        time.sleep(5)
        compare(small, [large], rounds, seconds)
        in_force_s = [_apply(large.cluster) for _ in range(5)]
        print(f"large: {projects.OPERATIONS} operations, {projects.POLICIES} policies, {projects.NETWORKS} networks, "
              f"{CLIENTS} clients, {CLIENTS * TOKENS_EACH} tokens, {PROJECTS} projects more; a change is in force "
              f"{statistics.median(in_force_s):.2f} s after `apply` began (at most {max(in_force_s):.2f})", flush=True)
        for name, ready_s, memory_mb in sorted(_start_again(large.cluster)):
            print(f"  {name}: ready {ready_s:.1f} s after its start, {memory_mb:.0f} MB", flush=True)


async def _fill(cluster: Platform) -> None:
    """Projects, clients and tokens, as control would write them."""
    for number in range(PROJECTS):
        cluster.admin("POST", f"/projects/shop-{number}/versions", {"files": projects.project(
            f"shop-{number}", ["echo", "list", "find"], {"policies": projects.guards(["192.0.2.0/24"])})})
    outbox = Outbox(KafkaSettings(bootstrap=cluster.bootstrap))
    await outbox.start()
    made: list[Client | Token] = []
    for number in range(CLIENTS):
        made.append(Client(project="large", name=f"client-{number}", roles=["writer"], time=0))
        made.extend(Token(id=f"t{number}x{copy}", project="large", client=f"client-{number}", created=0, digests={
            topics.REQUESTS_EDGE: os.urandom(32).hex(), topics.REQUESTS_INTERNAL: os.urandom(32).hex()})
            for copy in range(TOKENS_EACH))
    await asyncio.gather(*{outbox.send(topics.CONFIG, to_value(one), [], key=one.key, partition=0) for one in made})
    await outbox.stop()


def _apply(cluster: Platform) -> float:
    """Seconds from the call of the admin API until every service has read the new version."""
    files = {**projects.large(), "weir.yaml": json.dumps({"name": "large", "description": str(time.time_ns())})}
    began = time.monotonic()
    cluster.admin("POST", "/projects/large/versions", {"files": files})
    while len(offsets := {_metric(process.ready_url, "weir_config_offset") for process in _services(cluster)}) > 1:
        assert time.monotonic() < began + 60, offsets
        time.sleep(0.02)
    return time.monotonic() - began


def _start_again(cluster: Platform) -> list[tuple[str, float, float]]:
    """Each service: seconds from its start until it is ready, resident memory then."""
    found = []
    for before in _services(cluster):
        os.kill(before.pid, signal.SIGKILL)
        while (now := cluster.processes()[before.name]).pid in (0, before.pid):
            time.sleep(0.02)
        while not _is_ready(now.ready_url):
            time.sleep(0.05)
        ready_s = time.time() - now.created
        found.append((now.name, ready_s, psutil.Process(now.pid).memory_info().rss / 1e6))
    return found


def _services(cluster: Platform) -> list[Any]:
    return [process for process in cluster.processes().values() if process.ready_url]


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _metric(ready_url: str, name: str) -> str:
    with urllib.request.urlopen(ready_url.replace("/-/ready", "/metrics"), timeout=5) as page:
        return str(next(line.split()[1] for line in page.read().decode().splitlines() if line.startswith(f"{name} ")))


def main() -> None:
    """Run what is named, or all."""
    kinds = {"partitions": by_partitions, "topics": by_topics, "processes": by_processes, "copies": by_copies,
             "size": by_size}
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    arguments.add_argument("what", nargs="*", default=list(kinds))
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=3)
    options = arguments.parse_args()
    for name in options.what:
        kinds[name](options.rounds, options.seconds)


if __name__ == "__main__":
    main()
