"""Does the event loop still turn?

In:    the loop.
Out:   how late it comes back to what is due; the end of a process whose loop has not turned for too long.
Never: a process that looks alive and does nothing: its partitions would wait for it.

A loop that hangs cannot watch itself. The interpreter's own timer does: it writes where every thread stands and ends
the process, even while C code holds the interpreter.
"""

import asyncio
import faulthandler
import sys
import time

from shared.runtime.tasks import Tasks
from shared.telemetry.metrics import Metrics

_EVERY_S = 0.25


class Pulse:
    """One beat every quarter of a second."""

    def __init__(self, tasks: Tasks, metrics: Metrics, hang_s: float) -> None:
        """`hang_s`: after so long without a beat the process ends."""
        self._tasks, self._metrics, self._hang_s = tasks, metrics, hang_s
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to beat."""
        self._loop = self._tasks.spawn(self._beat(), "pulse")

    async def stop(self) -> None:
        """Nobody ends the process any more."""
        await self._tasks.end(self._loop)
        faulthandler.cancel_dump_traceback_later()

    async def _beat(self) -> None:
        while True:
            faulthandler.dump_traceback_later(self._hang_s, exit=True, file=sys.__stderr__ or sys.stderr)
            due = time.monotonic() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self._metrics.loop_lag_us.add(max(0, int((time.monotonic() - due) * 1e6)))
