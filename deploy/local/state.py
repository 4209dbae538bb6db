"""What is known of a running cluster, for `weir status` and `weir down`.

In:    the supervisor's word.
Out:   `cluster.json` in the state folder, written whole or not at all.
Never: a pid trusted without the time at which its process started.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

FILE = "cluster.json"


@dataclass(slots=True, kw_only=True)
class ProcessState:
    """One process as the supervisor last saw it. `created`: start time in unix seconds, as the system tells it."""

    name: str
    pid: int = 0
    created: float = 0.0
    state: str = "waiting"
    restarts: int = 0
    ready_url: str | None = None
    log: str = ""
    port: int = 0

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            return bool(self.pid) and abs(psutil.Process(self.pid).create_time() - self.created) < 1 and (
                psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


@dataclass(slots=True, kw_only=True)
class ClusterState:
    """The supervisor and its processes. `resized`: how often its size has been changed, or was to be; `fault`: why the
    last change was not made."""

    supervisor: ProcessState
    state: str = "starting"
    resized: int = 0
    fault: str = ""
    processes: list[ProcessState] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write the file atomically."""
        scratch = folder / f"{FILE}.new"
        scratch.write_text(json.dumps(asdict(self), indent=1))
        scratch.rename(folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> "ClusterState | None":
        """Read the file; None when there is none, or not one of ours."""
        try:
            doc = json.loads((folder / FILE).read_text())
            return cls(supervisor=ProcessState(**doc["supervisor"]), state=doc["state"], resized=doc["resized"],
                       fault=doc["fault"], processes=[ProcessState(**one) for one in doc["processes"]])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def myself(name: str) -> ProcessState:
    """This process."""
    return ProcessState(name=name, pid=os.getpid(), created=psutil.Process().create_time(), state="up")


def started(name: str, pid: int, *, ready_url: str | None = None, log: str = "", port: int = 0) -> ProcessState:
    """A child that has just been started."""
    try:
        created = psutil.Process(pid).create_time()
    except psutil.Error:
        created = 0.0
    return ProcessState(name=name, pid=pid, created=created, state="starting", ready_url=ready_url, log=log,
                        port=port)


def end_leftovers(folder: Path, patience_s: float) -> list[str]:
    """End the processes that a killed supervisor left behind; returns their names."""
    known = ClusterState.load(folder)
    if known is None or known.supervisor.is_alive():
        return []
    left = [process for process in known.processes if process.is_alive()]
    running = [psutil.Process(process.pid) for process in left]
    for process in running:
        process.terminate()
    for process in psutil.wait_procs(running, timeout=patience_s)[1]:
        process.kill()
    return [process.name for process in left]
