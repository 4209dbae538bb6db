"""An ingress of its own beside the cluster's, told something else."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession

from tests.support.platform import ROOT, Platform, eventually, free_ports


@dataclass
class Edge:
    """A process, where it answers, and headers that let a call of the example in."""

    process: subprocess.Popen[bytes]
    url: str
    health: str
    headers: dict[str, str]


@asynccontextmanager
async def edge(platform: Platform, http: ClientSession, folder: Path, **env: str) -> AsyncIterator[Edge]:
    """A ready ingress process; `env`: its settings."""
    port, health = free_ports(2)
    process = _launch(folder / "ingress.log", {
        "WEIR_KAFKA_BOOTSTRAP": platform.bootstrap, "WEIR_REDIS_URL": platform.redis_url,
        "WEIR_INSTANCE": f"beside-{port}", "WEIR_INGRESS_PORT": str(port), "WEIR_HEALTH_PORT": str(health),
        "WEIR_STATE_DIR": str(folder), **env})
    try:
        told = f"http://127.0.0.1:{health}"
        await eventually(lambda: _answers(http, f"{told}/-/ready"), within_s=15)
        yield Edge(process, f"http://127.0.0.1:{port}", told, {"Authorization": f"Bearer {platform.demo_token}"})
    finally:
        process.kill()
        process.wait()


def _launch(log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen([sys.executable, "-m", "services.ingress"], cwd=ROOT, stdout=out, stderr=out,
                                env={**os.environ, **env})


async def _answers(http: ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except OSError:
        return False
