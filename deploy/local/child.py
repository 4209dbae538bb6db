"""One supervised process: start, restart with back-off, stop.

In:    a command, an environment, a log file.
Out:   a process of its own session; the word that it ended.
Never: a pipe: what it prints goes to a file, or a full pipe would hang it.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_LARGEST_LOG = 50 * 1024 * 1024
_LAST_LINES = 200
_ERROR_WORDS = ('"level":"error"', " ERROR ", " FATAL ", "Error:", "Exception:")
_BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
# a process that lived this long has recovered: its next end is a first one again
HEALTHY_S = 30.0


def backoff_s(failures: int) -> float:
    """How long to wait before start number `failures` + 1: none after the first end, then longer and longer."""
    return _BACKOFF_S[min(max(failures - 1, 0), len(_BACKOFF_S) - 1)]


async def start(argv: list[str], env: dict[str, str], log: Path) -> asyncio.subprocess.Process:
    """Start a process that dies with us, whatever kills us."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with _open_log(log) as out:
        return await asyncio.create_subprocess_exec(
            *argv, env={**os.environ, **env}, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True, preexec_fn=_die_with_parent if sys.platform == "linux" else None)


async def stop(process: asyncio.subprocess.Process, patience_s: float) -> None:
    """Ask it to end; make it end when it does not."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), patience_s)
    except TimeoutError:
        process.kill()
        await process.wait()


def size_of(log: Path) -> int:
    """Bytes; of one that is not there, none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def last_words(log: Path, begin: int = 0) -> str:
    """The last line of a log that tells of an error, or else its last line; shortened, without stack frames. `begin`:
    what stands before it is of an earlier process."""
    try:
        with log.open("rb") as file:
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return ""
    said = [line for line in lines if line and not line[0].isspace()]
    told = [line for line in said if any(word in line for word in _ERROR_WORDS)]
    line = (told or said or [""])[-1]
    try:
        message = json.loads(line)["message"]
    except (ValueError, KeyError, TypeError):
        message = line
    return str(message)[:400]


def told_end(name: str, code: int, log: Path, begin: int, pause_s: float) -> str:
    """That a process has ended, and why where it has said so: one that was killed has not. `begin`: how long the log
    was before it; a shorter one is a new one."""
    words = last_words(log, begin if begin <= size_of(log) else 0) if code > 0 else ""
    return (f"{name} ended with code {code}{f' ({words})' if words else ''}; starting it again"
            f"{f' in {pause_s:g} s' if pause_s else ''} (log: {log})")


def _open_log(log: Path) -> IO[bytes]:
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(log.with_suffix(".old.log"))
    return log.open("ab")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
