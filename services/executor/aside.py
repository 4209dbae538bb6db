"""Expressions that take longer than a turn, in threads.

In:    what computes one, a project.
Out:   what it gives.
Never: the event loop held up; a project that waits behind all that another one computes.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from services.executor.turns import Turns
from shared.project.expressions import aside

T = TypeVar("T")
# at the same time, each until its time is over: the broker and the other services have the rest of the cores
_THREADS = max(1, (os.cpu_count() or 1) // 2)


class Aside:
    """Threads that begin when they are needed. Made for one event loop."""

    def __init__(self) -> None:
        """No thread yet."""
        self._threads = ThreadPoolExecutor(_THREADS, "expressions")
        self._turns = Turns(_THREADS)

    async def run(self, compute: Callable[[], T], project: str) -> T:
        """What it gives. Raises what it raises."""
        async with self._turns.of(project):
            return await asyncio.get_running_loop().run_in_executor(self._threads, _aside, compute)


def _aside(compute: Callable[[], T]) -> T:
    with aside():
        return compute()
