"""A flame graph of each process of a row that runs Python, where its memory may be read, or the reason why not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bench import drive, flames
from tests.bench.rows import Load, Row
from tests.support.platform import ROOT, free_ports


@pytest.fixture
def row() -> Iterator[Row]:
    """The bench's HTTP echo; a broker would have nothing to show."""
    [port] = free_ports(1)
    with subprocess.Popen([sys.executable, "-m", "tests.bench.floor", "echo", str(port)], cwd=ROOT,
                          stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        echo = psutil.Process(process.pid)
        yield Row("echo", "HTTP alone", lambda load, seconds: drive.load(
            f"http://127.0.0.1:{port}/", [], load.connections, seconds), {"echo": echo, "kafka": echo})
        process.kill()


def test_graph_of_each_process_shows_what_it_did_under_the_load(row: Row, tmp_path: Path) -> None:
    said = flames.record(row, Load(4), 1.0, tmp_path / "new", "stamp")
    place = tmp_path / "new" / "stamp-echo-echo.svg"
    if not place.exists():
        [why] = said
        assert why.startswith("no flame graph of echo: ")
        pytest.skip(why)
    assert said == [f"flame graph of echo: {place}"]
    graph = place.read_text()
    assert "<svg" in graph
    assert "handle (tests/bench/floor.py" in graph


def test_process_that_is_gone_is_said_so(row: Row, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        row.processes["echo"] = psutil.Process(other.pid)
        other.kill()
    [said] = flames.record(row, Load(1), 1.0, tmp_path, "stamp")
    assert said.startswith("no flame graph of echo: Error")
