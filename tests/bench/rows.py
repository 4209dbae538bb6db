"""The rows: what is measured, by which load, on which processes.

`ROWS` is the list; a row that nobody asks for is not prepared.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import psutil

from tests.bench import drive, projects
from tests.bench.bed import Bed

JSON_BODY = "Content-Type: application/json"
BARE, STANDARD = "bare", "standard"
BLOCKED_S = 86_400
# topics whose bytes a row is charged with, by the beginnings of their names
_WEIR, _FLOOR = ("weir.", "otlp_spans", "replies.", "__consumer_offsets"), ("bench.",)


class Load(NamedTuple):
    """A closed loop over so many connections, or so many requests a second, evenly spaced."""

    connections: int
    rate: float = 0

    def __str__(self) -> str:
        return f"{self.connections} connections, " + (f"{self.rate:g} requests/s" if self.rate else "closed loop")


@dataclass
class Row:
    """One thing to measure. `wanted`: the only status that counts for its rate.

    `lasting`: work goes on after the answer, so all of it is waited for, and counted. `paced`: its load keeps a rate.
    """

    name: str
    title: str
    command: Callable[[Load, float], list[str]]
    processes: dict[str, psutil.Process]
    topics: Sequence[str] = ()
    wanted: int = 200
    lasting: bool = False
    paced: bool = True
    results: dict[Load, list[dict[str, Any]]] = field(default_factory=dict)


Make = Callable[[Bed, str, str], Row]


def _http(url: str, *headers: str) -> Callable[[Load, float], list[str]]:
    def command(load: Load, seconds: float) -> list[str]:
        return drive.load(url, headers, load.connections, seconds, load.rate)
    return command


def _echo(bed: Bed, name: str, title: str) -> Row:
    url, process = bed.serving("echo")
    return Row(name, title, _http(url), {"echo": process})


def _bare(bed: Bed, name: str, title: str) -> Row:
    url, edge = bed.serving("edge")
    processes = {"edge": edge, "hop": bed.floor("hop"), "worker": bed.floor("worker"), **bed.broker()}
    return Row(name, title, _http(url), processes, _FLOOR)


def _weir(project: str, files: Callable[[], dict[str, str]], *headers: str, wanted: int = 200, token: bool = True,
          lasting: bool = False) -> Make:
    def make(bed: Bed, name: str, title: str) -> Row:
        bearer = f"Authorization: Bearer {bed.token(project, files())['token']}"
        command = _http(f"{bed.cluster.ingress}/{project}/echo", JSON_BODY, *([bearer] if token else []), *headers)
        return Row(name, title, command, bed.weir(), _WEIR, wanted, lasting)
    return make


def _blocked(bed: Bed, name: str, title: str) -> Row:
    row = _weir("barred", partial(projects.open_project, "barred"), wanted=403)(bed, name, title)
    bed.cluster.admin("POST", "/projects/barred/signals", {"kind": "client", "subject": "load", "for_s": BLOCKED_S})
    return row


def _internal(bed: Bed, name: str, title: str) -> Row:
    digest, replies = bed.token("standard", projects.standard())["internal_digest"], bed.topic("replies.bench")

    def command(load: Load, seconds: float) -> list[str]:
        return drive.publish(bed.cluster.bootstrap, replies, digest, "standard", "echo", load.connections, seconds)
    processes = {role: process for role, process in bed.weir().items() if role != "ingress"}
    return Row(name, title, command, processes, _WEIR, paced=False)


ROWS: dict[str, tuple[str, Make]] = {
    "echo": ("aiohttp echo", _echo),
    BARE: ("bare three-hop echo", _bare),
    "blocked": ("Weir, blocked at the edge (403)", _blocked),
    "unknown": ("Weir, no token (401)", _weir("open", projects.open_project, wanted=401, token=False)),
    "rejected": ("Weir, rejected by a policy (403)", _weir("standard", projects.standard, "X-Robot: yes", wanted=403)),
    "token": ("Weir, token only", _weir("open", projects.open_project)),
    STANDARD: ("Weir, standard work", _weir("standard", projects.standard)),
    "large": ("Weir, standard work, large configuration", _weir("large", projects.large)),
    "durable": ("Weir, standard work, durable", _weir("lasting", partial(projects.standard, "lasting", durable=True))),
    "async": ("Weir, standard work, answered before the run (202)",
              _weir("standard", projects.standard, "Prefer: respond-async", wanted=202, lasting=True)),
    "internal": ("Weir, standard work, internal publisher", _internal),
}


def prepare(bed: Bed, names: Iterable[str]) -> list[Row]:
    """These rows, and the bare one, which all others are compared with."""
    return [make(bed, name, title) for name, (title, make) in ROWS.items() if name == BARE or name in names]
