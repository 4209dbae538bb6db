"""The faster build of the same Python is taken, by a margin that is no accident; nothing else is."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import interpreter


class Machine:
    """Interpreters by path: where each is installed, and the seconds it takes, turn by turn."""

    def __init__(self, **builds: tuple[str, list[float]] | None) -> None:
        self.asked: list[str] = []
        self._builds: dict[str, tuple[str, Iterator[float]] | None] = {
            name: None if found is None else (found[0], iter(found[1])) for name, found in builds.items()}

    def probe(self, path: str) -> tuple[str, float] | None:
        self.asked.append(path)
        found = self._builds[path]
        return None if found is None else (found[0], next(found[1]))


def chosen(monkeypatch: pytest.MonkeyPatch, machine: Machine, *others: str) -> tuple[str, float]:
    monkeypatch.setattr(interpreter, "probe", machine.probe)
    return interpreter.fastest("mine", others)


def test_faster_build_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(mine=("/a", [0.016] * 5), other=("/b", [0.010] * 5), third=("/c", [0.012] * 5))
    path, gain = chosen(monkeypatch, machine, "other", "third")
    assert (path, round(gain, 1)) == ("other", 1.6)
    assert machine.asked == ["mine", "other", "third"] * 5


def test_small_difference_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(mine=("/a", [0.011] * 5), other=("/b", [0.010] * 5))
    assert chosen(monkeypatch, machine, "other") == ("mine", 1.0)


def test_moment_in_which_the_machine_was_busy_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(mine=("/a", [0.030, 0.010, *[0.030] * 3]), other=("/b", [0.010, *[0.030] * 4]))
    assert chosen(monkeypatch, machine, "other") == ("mine", 1.0)


def test_other_name_of_the_same_build_is_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(mine=("/a", [0.016] * 5), shim=("/a", [0.011] * 5))
    assert chosen(monkeypatch, machine, "shim") == ("mine", 1.0)


def test_interpreter_that_cannot_make_an_environment_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(mine=("/a", [0.016] * 5), other=None)
    assert chosen(monkeypatch, machine, "other") == ("mine", 1.0)
    assert chosen(monkeypatch, Machine(mine=None, other=("/b", [0.01] * 5)), "other") == ("mine", 1.0)


def test_real_one_tells_where_it_is_and_files_that_are_no_interpreter_tell_nothing(tmp_path: Path) -> None:
    found = interpreter.probe(sys.executable)
    assert found is not None
    assert found[0] == sys.base_prefix
    assert 0 < found[1] < 5
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no python\n")
    broken.chmod(0o755)
    assert interpreter.probe(str(broken)) is None
    assert interpreter.probe(str(tmp_path / "nowhere")) is None


def test_candidates_are_of_this_version_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    major, minor = sys.version_info[:2]
    for name in (f"python{major}.{minor}", f"python{major}.{minor + 1}", "python3"):
        file = tmp_path / name
        file.touch()
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = interpreter.candidates()
    assert str(tmp_path / f"python{major}.{minor}") in found
    assert {os.path.basename(path) for path in found} == {f"python{major}.{minor}"}
