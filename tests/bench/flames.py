"""Flame graphs: where the services of a row spend their time while it is loaded.

In:    a row, a load, a folder.
Out:   an SVG for each process that runs Python.
Never: during a load that counts: whoever is looked at a hundred times a second is slower.
"""

import subprocess
import sys
from pathlib import Path

from tests.bench import drive
from tests.bench.rows import Load, Row

_NOT_PYTHON = ("kafka", "valkey")
_PER_S = 200


def record(row: Row, load: Load, seconds: float, folder: Path, stamp: str) -> list[str]:
    """Lines of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    tool = Path(sys.executable).with_name("py-spy")
    places = {name: folder / f"{stamp}-{row.name}-{name}.svg" for name in row.processes if name not in _NOT_PYTHON}
    lookers: dict[str, subprocess.Popen[str]] = {}

    def at_mark(mark: str) -> None:
        if mark == "begin":
            lookers.update({name: subprocess.Popen(
                [str(tool), "record", "--pid", str(row.processes[name].pid), "--output", str(place), "--rate",
                 str(_PER_S), "--duration", str(max(1, round(seconds)))], stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True) for name, place in places.items()})
    # as long as the graphs take, and a while for their tools to begin
    drive.run(row.command(load, seconds + 2), 1.0, at_mark)
    return [_ended(name, looker, places[name]) for name, looker in lookers.items()]


def _ended(name: str, looker: "subprocess.Popen[str]", place: Path) -> str:
    try:
        _, said = looker.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        looker.kill()
        _, said = looker.communicate()
    if looker.returncode == 0 and place.exists():
        return f"flame graph of {name}: {place}"
    # what failed comes first, then why, then a stack of py-spy's own
    why = next((line for line in said.splitlines() if line.startswith("Error")), "py-spy was too slow")
    return f"no flame graph of {name}: {why}"
