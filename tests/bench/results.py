"""Results of one run, as a file: what was measured on which machine, each round by itself.

The file has what every figure of the report is made from, so runs can be compared later.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import stats, stress
from tests.bench.rows import BARE, STANDARD, Load, Row
from tests.bench.stats import Spread

FORMAT = 1
# of a row beside the bare one
FIGURES = {"rate": "requests/s", "cpu": "CPU of all processes", "p50": "p50", "p99": "p99"}
Rounds = list[dict[str, Any]]


class Beside(NamedTuple):
    """A row beside another one under the same load; `processes`: one of each, where not all count."""

    what: str
    figure: str
    row: str
    other: str
    processes: tuple[str, str] = ("", "")


BESIDE = (
    Beside("rejected ÷ standard work, requests/s", "rate", "rejected", STANDARD),
    Beside("blocked at the edge ÷ aiohttp echo, requests/s", "rate", "blocked", "echo"),
    Beside("internal publisher ÷ standard work over HTTP, requests/s", "rate", "internal", STANDARD),
    Beside("durable ÷ standard work, requests/s", "rate", "durable", STANDARD),
    Beside("standard work's policy ÷ a bare hop, CPU", "cpu", STANDARD, BARE, ("policy", "hop")),
    Beside("standard work's executor ÷ the bare echo's last hop, CPU", "cpu", STANDARD, BARE, ("executor", "worker")),
    Beside("large configuration ÷ standard work, CPU of policy", "cpu", "large", STANDARD, ("policy", "policy")),
    Beside("rejected ÷ standard work, CPU of all processes", "cpu", "rejected", STANDARD),
    Beside("blocked ÷ standard work, CPU of all processes", "cpu", "blocked", STANDARD))
# closed loops of many connections beside those of fewer
MANY, FEWER = Load(1000), Load(256)


class NoResults(ValueError):
    """The file is none of ours, or one of another format."""


@dataclass(kw_only=True)
class Results:
    """`rows`: by name, by load; `stress`: by part. `lines`: what the special benches have said."""

    machine: dict[str, Any]
    options: dict[str, Any]
    rows: dict[str, dict[str, Rounds]] = field(default_factory=dict)
    stress: dict[str, Rounds] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    format: int = FORMAT

    def take(self, rows: Sequence[Row]) -> None:
        """What the rows have found so far."""
        self.rows = {row.name: {str(load): found for load, found in row.results.items()} for row in rows}

    def save(self, place: Path) -> None:
        """As JSON."""
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(asdict(self), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, place: Path) -> "Results":
        """Raises NoResults."""
        try:
            found = json.loads(place.read_text())
            if found["format"] != FORMAT:
                raise NoResults(f"{place}: format {found['format']}, this is made for {FORMAT}")
            return cls(**found)
        except (OSError, KeyError, TypeError, json.JSONDecodeError) as exc:
            raise NoResults(f"{place} holds no results of `make bench`: {exc}") from exc

    def loads(self) -> list[str]:
        """Those under which there is a bare row."""
        return list(self.rows.get(BARE, {}))

    def beside_bare(self, row: str, load: str) -> dict[str, Spread]:
        """Each figure as a ratio to the bare row's, round by round; none of a load that is not the row's, or failed."""
        these, those = self.rows.get(row, {}).get(load, []), self.rows[BARE][load]
        if not these or failures([*these, *those]):
            return {}
        return {name: stats.ratio([figure(one, name) for one in these], [figure(one, name) for one in those])
                for name in FIGURES}

    def between(self, load: str) -> dict[str, Spread]:
        """BESIDE, round by round, as far as both rows are there."""
        found = {}
        for one in BESIDE:
            these, those = self._usable(one.row, load), self._usable(one.other, load)
            process, beside = one.processes
            if these and those and {process, beside} <= {"", *these[0]["cpu_us"], *those[0]["cpu_us"]}:
                found[one.what] = stats.ratio([figure(each, one.figure, process) for each in these],
                                              [figure(each, one.figure, beside) for each in those])
        return found

    def across(self) -> dict[str, Spread]:
        """The standard work with many connections beside itself with fewer."""
        these, those = self._usable(STANDARD, str(MANY)), self._usable(STANDARD, str(FEWER))
        if not these or not those:
            return {}
        return {f"standard work, {MANY.connections} ÷ {FEWER.connections} connections, requests/s": stats.ratio(
            [figure(one, "rate") for one in these], [figure(one, "rate") for one in those])}

    def beyond(self) -> dict[str, Spread]:
        """What there is beside closed loops."""
        return stress.figures(self.stress) if self.stress else {}

    def _usable(self, row: str, load: str) -> Rounds:
        found = self.rows.get(row, {}).get(load, [])
        return [] if failures(found) else found


def failures(found: Rounds) -> int:
    """Loads that had no answer as wanted."""
    return sum(one.get("failed", False) for one in found)


def figure(result: dict[str, Any], name: str, process: str = "") -> float:
    """One of FIGURES; the CPU of one process where it is named."""
    if name == "rate":
        return float(result["rps"])
    if name == "cpu":
        return float(result["cpu_us"][process] if process else sum(result["cpu_us"].values()))
    return float(result[name])
