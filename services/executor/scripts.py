"""JavaScript of workflows, in threads of its own.

In:    code, an input.
Out:   what the code returns, as JSON.
Never: I/O for the code; the event loop held up: QuickJS lets go of Python's lock while it runs.

Each run has an engine of its own, made and thrown away in one thread: an engine belongs to its thread, and nothing of
a run is left for the next.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import quickjs

from services.executor.turns import Turns
from shared.errors import WorkflowFailed

_STACK_BYTES = 256 * 1024
_MAX_MESSAGE = 300


class Scripts:
    """A few threads; scripts beyond them wait, and projects take turns."""

    def __init__(self, *, time_ms: int, memory_bytes: int, threads: int) -> None:
        """Bounds of each run."""
        self._time_ms, self._memory_bytes = time_ms, memory_bytes
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="script")
        self._turns = Turns(threads)

    async def start(self) -> None:
        """Nothing: threads begin when they are needed."""

    async def stop(self) -> None:
        """What still runs ends by its own bound."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, code: str, given: Any, project: str = "") -> Any:
        """Run a function's body with `input`. Raises WorkflowFailed: script-timeout, script-memory, script-error."""
        text = orjson.dumps(given).decode()
        async with self._turns.of(project):
            made = await asyncio.get_running_loop().run_in_executor(self._threads, self._run, code, text)
        try:
            return orjson.loads(made)
        except orjson.JSONDecodeError as exc:
            # half of a character, which JavaScript takes for a text
            raise WorkflowFailed(f"what the script returns is no JSON: {exc}", kind="script-error") from None

    def _run(self, code: str, given: str) -> str:
        engine = quickjs.Context()
        engine.set_time_limit(self._time_ms / 1000)
        engine.set_memory_limit(self._memory_bytes)
        engine.set_max_stack_size(_STACK_BYTES)
        try:
            engine.set("given", given)
            return str(engine.eval(f"JSON.stringify((function (input) {{\n{code}\n}})(JSON.parse(given))) ?? 'null'"))
        except quickjs.StackOverflow:
            raise WorkflowFailed("the script calls itself too deeply", kind="script-error") from None
        except quickjs.JSException as exc:
            raise self._told(str(exc)) from None

    def _told(self, text: str) -> WorkflowFailed:
        if "interrupted" in text:
            return WorkflowFailed(f"the script ran longer than {self._time_ms} ms (WEIR_EXECUTOR_SCRIPT_TIME_MS)",
                                  kind="script-timeout")
        if "out of memory" in text or text.strip() in ("null", ""):
            return WorkflowFailed(f"the script needs more than {self._memory_bytes} bytes "
                                  "(WEIR_EXECUTOR_SCRIPT_MEMORY_BYTES)", kind="script-memory")
        return WorkflowFailed(f"the script failed: {' '.join(text.split())[:_MAX_MESSAGE]}", kind="script-error")
