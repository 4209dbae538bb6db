"""Sets of files: whole or not there, whatever step a crash comes at."""

import os
from pathlib import Path

import pytest

from services.sinks import folder as folders
from services.sinks.folder import Folder, FolderTaken

FILES = {"date=2026-11-25/hour=07": b"seven", "date=2026-11-25/hour=08": b"eight"}


class Crash(BaseException):
    """The process is gone."""


def written(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*.parquet")}


def test_offsets_and_files_come_back(tmp_path: Path) -> None:
    one = Folder(tmp_path)
    assert one.open() == {}
    one.write(FILES, {0: 5, 3: 7})
    one.close()
    two = Folder(tmp_path)
    assert two.open() == {0: 5, 3: 7}
    two.write(FILES, {0: 9, 3: 7})
    assert sorted(written(tmp_path)) == [f"date=2026-11-25/hour=0{hour}/usage-00000000{number}.parquet"
                                         for hour in (7, 8) for number in (1, 2)]


def test_second_writer_is_turned_away(tmp_path: Path) -> None:
    one = Folder(tmp_path)
    one.open()
    with pytest.raises(FolderTaken):
        Folder(tmp_path).open()


def test_crash_at_any_step_leaves_a_whole_set_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of a name is a step: the crash comes before each of them in turn."""
    real, outcomes = os.replace, set()
    for step in range(1, 12):
        path = tmp_path / str(step)
        first = Folder(path)
        first.open()
        first.write(FILES, {0: 1})
        steps = 0

        def replace(source: Path, target: Path, step: int = step) -> None:
            nonlocal steps
            steps += 1
            if steps == step:
                raise Crash
            real(source, target)
        monkeypatch.setattr(folders.os, "replace", replace)
        try:
            first.write(FILES, {0: 2})
        except Crash:
            pass
        finally:
            monkeypatch.setattr(folders.os, "replace", real)
            first.close()
        again = Folder(path)
        offsets = again.open()
        assert len(written(path)) == {1: 2, 2: 4}[offsets[0]]
        assert not list(path.glob("_part*"))
        outcomes.add(offsets[0])
        again.write(FILES, {0: 3})
        assert len(written(path)) == 2 * again.sets
        again.close()
    assert outcomes == {1, 2}
