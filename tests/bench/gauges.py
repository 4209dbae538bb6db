"""What processes have used so far, and what was written to the broker: read before and after a load.

CPU is that of the system's own accounts. Context switches are those of all threads, of their own will or not: what
the system tells of a whole process is its first thread alone. Bytes are the growth of the broker's log, so what
producers have sent, headers and framing of batches included; each of them crosses the wire once to the broker and once
to every reader. Beside it what the loopback device has carried: all there is, HTTP, store and foreign traffic included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.drive import cpu_s


@dataclass(frozen=True, slots=True)
class Reading:
    """At one time. `log`: size of each file of the broker's log, by topic."""

    cpu_s: Mapping[str, float]
    switches: Mapping[str, int]
    log: Mapping[tuple[str, str], int]
    loopback: int

    @classmethod
    def of(cls, processes: Mapping[str, psutil.Process], log: Path, topics: Sequence[str]) -> "Reading":
        """Of these processes, and of the topics that begin like one of `topics`."""
        return cls({name: cpu_s(process) for name, process in processes.items()},
                   {name: threads_switches(process.pid) for name, process in processes.items()},
                   {(place.parent.name.rpartition("-")[0], str(place)): place.stat().st_size
                    for place in log.glob("*/*.log") if place.parent.name.startswith(tuple(topics))},
                   loopback_bytes())

    def until(self, later: "Reading", requests: float) -> dict[str, Any]:
        """What one request took."""
        log: dict[str, float] = {}
        for (topic, place), size in later.log.items():
            # a file that was not there before is new; one that is gone was old
            log[topic] = log.get(topic, 0.0) + max(0, size - self.log.get((topic, place), 0)) / requests
        return {"cpu_us": {name: (used - self.cpu_s[name]) * 1e6 / requests for name, used in later.cpu_s.items()},
                "switches": {name: (count - self.switches[name]) / requests
                             for name, count in later.switches.items()},
                "log_bytes": {topic: grown for topic, grown in log.items() if grown},
                "loopback_bytes": (later.loopback - self.loopback) / requests}


def threads_switches(pid: int | str = "self") -> int:
    """Context switches of all threads that a process has now; 0 where the system does not tell."""
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        try:
            found += sum(int(line.split()[1]) for line in status.read_text().splitlines() if "ctxt_switches" in line)
        except (FileNotFoundError, ProcessLookupError):
            # a thread that has ended meanwhile
            continue
    return found


def loopback_bytes() -> int:
    """All that the loopback device has carried; 0 where it has another name."""
    counters = psutil.net_io_counters(pernic=True).get("lo")
    return counters.bytes_sent if counters else 0
