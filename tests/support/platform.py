"""A whole cluster for a test session: real broker, real store, real services, under the real supervisor."""

import asyncio
import json
import os
import random
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession

from deploy.local.ports import is_free
from deploy.local.state import ClusterState
from deploy.local.supervisor import is_ready
from shared.settings.kafka import KafkaSettings
from tests.support import warm_home

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "employee-directory"
# a connection from this address is a trusted proxy's
# low, so that a test reaches it with few callers
PROJECT_BOUND = 100
# short, so that a test sees executions wait without a worker
PARK_AFTER_MS = 1_500
PROXY, CERTIFICATE_HEADER = "127.0.0.2", "x-client-subject"
SECRET_NAME, SECRET = "TILL", "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGlsbCBpcyBzYWZl"


@dataclass(frozen=True)
class Platform:
    """Addresses of a running cluster."""

    state_dir: Path
    bootstrap: str
    redis_url: str
    ingress: str
    control: str
    stub_hr: str
    env: dict[str, str]

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(bootstrap=self.bootstrap)

    @property
    def demo_token(self) -> str:
        return (self.state_dir / "demo-token").read_text()

    @property
    def demo_digest(self) -> str:
        return (self.state_dir / "demo-digest").read_text()

    @property
    def admin_token(self) -> str:
        return (self.state_dir / "admin-token").read_text()

    def weir(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command line against this cluster."""
        done = subprocess.run([*warm_home.command(), *arguments], cwd=ROOT, text=True,
                              env={**os.environ, **self.env}, capture_output=True, timeout=90, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"weir {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Call the admin API."""
        request = urllib.request.Request(
            f"{self.control}/v1{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.admin_token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as exc:
            raise AssertionError(f"{method} {path}: {exc.code} {exc.read().decode()[:2000]}") from None

    def processes(self) -> dict[str, Any]:
        """The supervisor's word on each process, by name."""
        known = ClusterState.load(self.state_dir)
        return {process.name: process for process in known.processes} if known else {}

    async def configured(self, http: ClientSession) -> None:
        """Return once every service has read the configuration as far as control has written it."""
        await eventually(lambda: self._all_have_read(http), within_s=15)

    async def _all_have_read(self, http: ClientSession) -> bool:
        offsets = []
        for process in self.processes().values():
            if process.name.startswith(("control", "ingress", "policy", "executor", "analytics")):
                try:
                    async with http.get(process.ready_url.replace("ready", "metrics")) as answer:
                        found = re.search(r"^weir_config_offset (\S+)$", await answer.text(), re.MULTILINE)
                except ClientError:
                    # it is being started again
                    return False
                offsets.append(float(found[1]) if found else -1.0)
        return len(set(offsets)) == 1 and offsets[0] > 0

    async def is_green(self) -> bool:
        """Whether every process is ready, as `weir status` sees it: that starts a Python each time, and waits to tell
        rates."""
        known = ClusterState.load(self.state_dir)
        if known is None or known.state != "ready" or not known.supervisor.is_alive():
            return False
        # broker and store have no page to ask
        ready = await asyncio.gather(*(is_ready(one.ready_url, 0) for one in known.processes if one.ready_url))
        return all(ready) and all(one.is_alive() and one.state == "up" for one in known.processes)


def free_ports(count: int) -> list[int]:
    """Distinct ports that are free now, from a range of their own: a parallel test of somebody else may ask too."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(21_000, 31_000)
        if port not in found and is_free(port):
            found.append(port)
    return found


def free_run(length: int, low: int, high: int) -> int:
    """First of `length` free ports in a row; below 32768, where no outgoing connection takes one by chance."""
    while True:
        first = random.randrange(low, high)
        if all(is_free(first + offset) for offset in range(length)):
            return first


def start(state_dir: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Platform:
    """Bring a cluster up with ports of its own; `stop` takes it down. `env`: more settings."""
    kafka = free_run(2, 31_000, 32_700)
    redis, ingress, control, stub = free_ports(4)
    base = free_run(100, 11_000, 20_000) - 9_100
    known = {
        "WEIR_STATE_DIR": str(state_dir), "WEIR_KAFKA_PORT": str(kafka), "WEIR_REDIS_PORT": str(redis),
        "WEIR_INGRESS_PORT": str(ingress), "WEIR_CONTROL_PORT": str(control), "WEIR_STUB_HR_PORT": str(stub),
        "WEIR_HEALTH_PORT_BASE": str(base), f"WEIR_SECRET_{SECRET_NAME}": SECRET,
        "WEIR_EXECUTOR_MAX_IN_FLIGHT_PER_PROJECT": str(PROJECT_BOUND),
        "WEIR_INGRESS_HEARTBEAT_MS": "700", "WEIR_EXECUTOR_PARK_AFTER_MS": str(PARK_AFTER_MS),
        "WEIR_INGRESS_TRUSTED_PROXIES": f'["{PROXY}"]', "WEIR_INGRESS_CERTIFICATE_HEADER": CERTIFICATE_HEADER}
    told = {**known, **(env or {})}
    platform = Platform(
        state_dir=state_dir, bootstrap=told.get("WEIR_KAFKA_BOOTSTRAP", f"127.0.0.1:{kafka}"),
        redis_url=f"redis://127.0.0.1:{redis}/0",
        ingress=f"http://127.0.0.1:{ingress}", control=f"http://127.0.0.1:{control}",
        stub_hr=f"http://127.0.0.1:{stub}", env=told)
    platform.weir("up", "--detach", *arguments)
    return platform


def stop(platform: Platform) -> None:
    """Take a cluster down."""
    platform.weir("down")


async def eventually(look: Any, *, within_s: float = 10.0, every_s: float = 0.1) -> Any:
    """The first true value of `look()`; fails when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        # what a thread calls may be a coroutine's function
        while asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within_s} s: {look}"
        await asyncio.sleep(every_s)
