"""Results of one run, as a file: what was measured on which machine, each round by itself.

The file has what every figure of the report is made from, so runs can be compared later.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import stats, stress
from tests.bench.rows import BARE, Row
from tests.bench.stats import Spread

FORMAT = 1
# of a row beside the bare one
FIGURES = {"rate": "requests/s", "cpu": "CPU of all processes", "p50": "p50", "p99": "p99"}
Rounds = list[dict[str, Any]]


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

    def beyond(self) -> dict[str, Spread]:
        """What there is beside closed loops."""
        return stress.figures(self.stress) if self.stress else {}


def failures(found: Rounds) -> int:
    """Loads that had no answer as wanted."""
    return sum(one.get("failed", False) for one in found)


def figure(result: dict[str, Any], name: str) -> float:
    """One of FIGURES."""
    if name == "rate":
        return float(result["rps"])
    return float(sum(result["cpu_us"].values()) if name == "cpu" else result[name])
