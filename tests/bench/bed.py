"""What is measured on: a running cluster, and the floor's processes beside it."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import redis
from aiohttp import ClientSession

from services.console.cli.figures import Reading
from services.executor.settings import ExecutorSettings
from services.ingress.settings import IngressSettings
from shared.kafka.topics import ensure_topics
from shared.names.topics import Topic
from tests.bench import floor, projects, tracing
from tests.support import platform as platforms
from tests.support.platform import ROOT, Platform

SERVICES = ("ingress", "policy", "executor", "analytics")
# what tests have made tight is as wide as it is for everybody
ENVIRONMENT = {
    "WEIR_EXECUTOR_MAX_IN_FLIGHT_PER_PROJECT": str(ExecutorSettings.model_fields["max_in_flight_per_project"].default),
    "WEIR_EXECUTOR_PARK_AFTER_MS": str(ExecutorSettings.model_fields["park_after_ms"].default),
    "WEIR_INGRESS_HEARTBEAT_MS": str(IngressSettings.model_fields["heartbeat_ms"].default), **tracing.ENVIRONMENT}
SETTLE_S = 30.0
_LOOK_S = 0.25


class Bed:
    """Projects are loaded once each; processes end with the bed."""

    def __init__(self, cluster: Platform) -> None:
        """Nothing beside the cluster yet."""
        self.cluster = cluster
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._ports: dict[str, int] = {}
        self._projects: set[str] = set()
        self._tokens: dict[str, dict[str, str]] = {}
        self._known = {name.removesuffix("-0"): psutil.Process(known.pid)
                       for name, known in cluster.processes().items()}

    @property
    def log(self) -> Path:
        """Where the broker keeps its log; empty when it is not this cluster's own."""
        return self.cluster.state_dir / "kafka" / "data"

    def weir(self) -> dict[str, psutil.Process]:
        """The processes that a call meets."""
        return {name: self._known[name] for name in (*SERVICES, "valkey", "kafka") if name in self._known}

    def broker(self) -> dict[str, psutil.Process]:
        """Kafka, where it is this cluster's own."""
        return {name: self._known[name] for name in ("kafka",) if name in self._known}

    def floor(self, role: str, *arguments: str) -> psutil.Process:
        """One process of the floor."""
        if role not in self._started:
            asyncio.run(ensure_topics(self.cluster.kafka, floor.TOPICS))
            self._started[role] = process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.floor", role, *arguments], cwd=ROOT, stdout=subprocess.PIPE,
                env={**os.environ, "WEIR_KAFKA_BOOTSTRAP": self.cluster.bootstrap})
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError(f"the floor's {role} did not start")
        return psutil.Process(self._started[role].pid)

    def serving(self, role: str, *arguments: str) -> tuple[str, psutil.Process]:
        """One that serves HTTP, and its address."""
        if role not in self._ports:
            [self._ports[role]] = platforms.free_ports(1)
        process = self.floor(role, str(self._ports[role]), *arguments)
        return f"http://127.0.0.1:{self._ports[role]}/", process

    def project(self, name: str, files: dict[str, str]) -> None:
        """Load a project."""
        self.cluster.admin("POST", f"/projects/{name}/versions", {"files": files})
        self._projects.add(name)

    def token(self, project: str, files: dict[str, str]) -> dict[str, str]:
        """Of a project's client `load`, as control answers it; the project is loaded if it is not there."""
        if project not in self._tokens:
            self.project(project, files)
            self._tokens[project] = self.cluster.admin("POST", f"/projects/{project}/clients/load/tokens", {})
            if project == "large":
                asyncio.run(projects.make_clients(self.cluster.bootstrap))
        return self._tokens[project]

    def topic(self, name: str) -> str:
        """A topic of a caller's own, with one partition."""
        asyncio.run(ensure_topics(self.cluster.kafka, [
            Topic(name=name, value="", writers=(), readers=(), partitions=1, configs={"retention.ms": "600000"})]))
        return name

    def configured(self) -> None:
        """Wait until every service has read what was configured, if anything was."""
        async def wait() -> None:
            async with ClientSession() as http:
                await self.cluster.configured(http)
        if self._projects:
            asyncio.run(wait())

    def settle(self) -> bool:
        """Wait until all that was begun has ended; False when it has not within `SETTLE_S`."""
        end, before = time.monotonic() + SETTLE_S, -1.0
        while time.monotonic() < end:
            open_now, read = self._work()
            if not open_now and read == before:
                return True
            before = read
            time.sleep(_LOOK_S)
        return False

    def stop(self) -> None:
        """End what was started here."""
        for process in self._started.values():
            with process:
                process.kill()

    def _work(self) -> tuple[float, float]:
        """What is open or put aside, and how much was read so far."""
        open_now = read = 0.0
        for name, process in self.cluster.processes().items():
            if name.rpartition("-")[0] in SERVICES:
                with urllib.request.urlopen(process.ready_url.replace("/-/ready", "/metrics"), timeout=10) as answer:
                    told = Reading.of(answer.read().decode(), 0.0)
                open_now += sum(told.values("weir_records_open"))
                read += sum(told.values("weir_records_consumed_total"))
        with redis.Redis.from_url(self.cluster.redis_url) as store:
            return open_now + float(store.zcard("weir:waiting")), read


@contextmanager
def cluster_for_bench(folder: Path, logs: Path) -> Iterator[Bed]:
    """A cluster of the bench's own, with the bounds that everybody's has. When something fails, its logs are kept."""
    cluster = platforms.start(folder, "--no-example", env=ENVIRONMENT)
    bed = Bed(cluster)
    try:
        yield bed
    except BaseException:
        shutil.copytree(folder / "logs", logs, dirs_exist_ok=True)
        print(f"the logs of the cluster are kept: {logs}", file=sys.stderr)
        raise
    finally:
        bed.stop()
        platforms.stop(cluster)

