"""Background tasks whose failure is not lost.

In:    coroutines that run as long as the service.
Out:   `Tasks.failed`, a future that ends the service when one of them dies.
Never: a bare `asyncio.create_task` elsewhere: its exception would vanish.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from shared.names import actions

log = logging.getLogger(__name__)


class Tasks:
    """Owns background tasks; made inside the running loop."""

    def __init__(self) -> None:
        """No tasks yet."""
        self._running: set[asyncio.Task[Any]] = set()
        self.stopping = False
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run in the background; if it raises, the service goes down with that error."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            _cancelled(task)
            return
        error = task.exception()
        if error is None:
            return
        log.error("background task %s failed: %r", task.get_name(), error, exc_info=error,
                  extra={"action": actions.TASK_FAILED, "task": task.get_name()})
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Take the service down with this error; the first one counts."""
        if not self.failed.done():
            self.failed.set_result(error)

    async def end(self, *tasks: asyncio.Task[Any] | None) -> None:
        """Cancel tasks and wait for them; None stands for one that never began."""
        begun = [task for task in tasks if task is not None]
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)

    async def stop(self) -> None:
        """End all that still run; `stopping` tells them that this is why."""
        self.stopping = True
        await self.end(*self._running)


def _cancelled(task: asyncio.Task[Any]) -> None:
    """One that somebody has ended ends quietly. What it waited for may have been cancelled instead, and so it too."""
    if not task.cancelling():
        log.error("background task %s was cancelled, and nobody asked for that", task.get_name(),
                  extra={"action": actions.TASK_FAILED, "task": task.get_name()})


def heard(future: asyncio.Future[Any]) -> None:
    """Done with a future whose error is told to whoever waits for it, if anybody still does: it is not told as lost."""
    if not future.cancelled():
        future.exception()


def pass_on(source: asyncio.Future[Any], target: asyncio.Future[None]) -> None:
    """Let a future end as one that is done has; its error is told to whoever waits."""
    error = source.exception()
    if error is None:
        target.set_result(None)
    else:
        target.set_exception(error)
        heard(target)
