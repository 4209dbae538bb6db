"""A folder of files that grows by whole sets: a set and the offsets after it are there, or neither is.

In:    files as bytes, offsets.
Out:   `date=.../hour=.../usage-<set>.parquet`, `_offsets.json`.
Never: a file under its name before it is whole; two writers.

A set is written under names that begin with `_`, then `_pending.json` says where its files go, then they get their
names, then the offsets change. Whoever starts again after a crash ends what was pending.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OFFSETS, _PENDING, _LOCK = "_offsets.json", "_pending.json", "_lock"


class FolderTaken(RuntimeError):
    """Another process writes there."""


class Folder:
    """One folder, one writer."""

    def __init__(self, path: Path) -> None:
        """Not looked at yet."""
        self._path = path
        self._lock: int | None = None
        self.sets = 0

    def open(self) -> dict[int, int]:
        """Take the folder, end what a crash has left; partition -> next offset. Raises FolderTaken, OSError."""
        self._path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._lock)
            self._lock = None
            raise FolderTaken(f"{self._path}: another sink writes into this folder") from exc
        pending = self._path / _PENDING
        if pending.exists():
            self._finish(json.loads(pending.read_text()))
        for left in self._path.glob("_part-*"):
            left.unlink()
        offsets = self._path / _OFFSETS
        if not offsets.exists():
            return {}
        known = json.loads(offsets.read_text())
        self.sets = known["sets"]
        return {int(partition): offset for partition, offset in known["offsets"].items()}

    def close(self) -> None:
        """Let go."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, files: Mapping[str, bytes], offsets: Mapping[int, int]) -> None:
        """Add a set: `files` by the folder they go to. Raises OSError; then the set is not there."""
        number = self.sets + 1
        moves = {}
        for at, (folder, content) in enumerate(files.items()):
            part = f"_part-{number}-{at}"
            _write(self._path / part, content)
            moves[part] = f"{folder}/usage-{number:09d}.parquet"
        state = {"sets": number, "offsets": {str(partition): offsets[partition] for partition in sorted(offsets)}}
        work = {"moves": moves, "state": state}
        _write(self._path / _PENDING, json.dumps(work).encode())
        self._finish(work)
        self.sets = number

    def _finish(self, work: Mapping[str, Any]) -> None:
        for part, target in work["moves"].items():
            place = self._path / target
            if (self._path / part).exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(self._path / part, place)
                _sync(place.parent)
        _write(self._path / _OFFSETS, json.dumps(work["state"]).encode())
        (self._path / _PENDING).unlink()
        _sync(self._path)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk."""
    hidden = path.with_name(f"_part-new-{path.name}")
    with hidden.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    os.replace(hidden, path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
