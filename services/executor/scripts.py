"""JavaScript of workflows, in processes of its own.

In:    code, an input.
Out:   what the code returns, as JSON.
Never: I/O for the code; the event loop held up; a run that outlives its time, or that nobody waits for: its process
       ends, and another one takes its place.

What a process reads, and what it answers, is told in `script_process.py`.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

import orjson

from services.executor.script_process import ASKED, DEEP, GIVEN, MEMORY, TIMEOUT, TOLD
from services.executor.turns import Turns
from shared.errors import WorkflowFailed
from shared.project.written import to_json

_PROGRAM = "services.executor.script_process"
# read ahead from a pipe; answers are longer at times
_BUFFER_BYTES = 1024 * 1024


class Scripts:
    """A few processes, begun when they are needed; scripts beyond them wait, and projects take turns."""

    def __init__(self, *, time_ms: int, memory_bytes: int, threads: int) -> None:
        """Bounds of each run; `threads` of them at the same time."""
        self._time_ms, self._memory_bytes = time_ms, memory_bytes
        self._turns = Turns(threads)
        self._idle: list[Process] = []
        self._all: set[Process] = set()

    async def start(self) -> None:
        """Nothing: processes begin when they are needed."""

    async def stop(self) -> None:
        """Whatever still runs ends."""
        for process in list(self._all):
            await self._end(process)

    async def run(self, code: str, given: Any, project: str = "") -> Any:
        """Run a function's body with `input`. Raises WorkflowFailed: script-timeout, script-memory, script-error."""
        asked = [code.encode(errors="surrogatepass"), to_json(given)]
        async with self._turns.of(project):
            kind, answer = await self._ask(asked)
        if kind != GIVEN:
            raise self._told(kind, answer.decode())
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError as exc:
            # half of a character, which JavaScript takes for a text
            raise WorkflowFailed(f"what the script returns is no JSON: {exc}", kind="script-error") from None

    async def _ask(self, asked: list[bytes]) -> tuple[bytes, bytes]:
        process = await self._free()
        try:
            assert process.stdin is not None
            process.stdin.writelines([ASKED.pack(*map(len, asked)), *asked])
            await process.stdin.drain()
            answer = await _answer(process)
        except (asyncio.IncompleteReadError, ConnectionError):
            return await self._end_of(process)
        except BaseException:
            # nobody waits for it any more
            await self._end(process)
            raise
        self._idle.append(process)
        return answer

    async def _free(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            self._all.discard(process)
        try:
            return await self._begin()
        except (asyncio.IncompleteReadError, OSError) as exc:
            raise WorkflowFailed(f"the process of scripts does not begin: {exc}", kind="script-error") from exc

    async def _begin(self) -> Process:
        # it finds what this process finds, and is told nothing else: no secret is near a script
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _PROGRAM, str(self._time_ms), str(self._memory_bytes), stdin=PIPE, stdout=PIPE,
            limit=_BUFFER_BYTES, env={"PYTHONPATH": os.pathsep.join(sys.path)})
        self._all.add(process)
        try:
            await _answer(process)
        except BaseException:
            await self._end(process)
            raise
        return process

    async def _end_of(self, process: Process) -> tuple[bytes, bytes]:
        """What a process that has ended without an answer tells by how it ended."""
        code = await process.wait()
        self._all.discard(process)
        return (TIMEOUT, b"") if code == -signal.SIGALRM else (b"", b"its process ended with %d" % code)

    async def _end(self, process: Process) -> None:
        self._all.discard(process)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()

    def _told(self, kind: bytes, text: str) -> WorkflowFailed:
        if kind == TIMEOUT:
            return WorkflowFailed(f"the script ran longer than {self._time_ms} ms (WEIR_EXECUTOR_SCRIPT_TIME_MS)",
                                  kind="script-timeout")
        if kind == MEMORY:
            return WorkflowFailed(f"the script needs more than {self._memory_bytes} bytes "
                                  "(WEIR_EXECUTOR_SCRIPT_MEMORY_BYTES)", kind="script-memory")
        if kind == DEEP:
            return WorkflowFailed("the script calls itself too deeply", kind="script-error")
        return WorkflowFailed(f"the script failed: {text}", kind="script-error")


async def _answer(process: Process) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    kind, length = TOLD.unpack(await process.stdout.readexactly(TOLD.size))
    return kind, await process.stdout.readexactly(length)
