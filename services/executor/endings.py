"""What ends executions before their end: somebody cancels one, its caller has gone, its workflow is stopped.

In:    what the store says of executions, what the config topic says of workflows.
Out:   running ones ended; others that do not begin.
Never: an execution that goes on for more than a second after the word.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from shared.contracts.config import Halt
from shared.errors import Cancelled, ClientGone, WeirError
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store.cancels import cancelled
from shared.store.redis import Store, StoreUnavailable
from shared.store.waiting import wake_all

log = logging.getLogger(__name__)
End = Callable[[WeirError], None]
_LOOK_S = 0.4
_MAX_KNOWN = 10_000


class _Known:
    """Something that runs, known under a place while it does; a class, for it is made twice for each execution."""

    __slots__ = ("_end", "_ends", "_place")

    def __init__(self, ends: dict[Any, dict[object, End]], place: object, end: End) -> None:
        self._ends, self._place, self._end = ends, place, end

    def __enter__(self) -> None:
        self._ends.setdefault(self._place, {})[self] = self._end

    def __exit__(self, *_: object) -> None:
        here = self._ends[self._place]
        del here[self]
        if not here:
            del self._ends[self._place]


class Endings:
    """Of all executions of this process."""

    def __init__(self, store: Store, tasks: Tasks) -> None:
        """Looks at the store once started, and only while something runs."""
        self._store, self._tasks = store, tasks
        # a record that was delivered again may run beside the first delivery
        self._running: dict[str, dict[object, End]] = {}
        self._inside: dict[tuple[str, str], dict[object, End]] = {}
        self._halts: dict[tuple[str, str], Halt] = {}
        self._known: dict[str, str] = {}
        self._cursor = 0
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look now and then."""
        self._loop = self._tasks.spawn(self._now_and_then(), "endings")

    async def stop(self) -> None:
        """Look no more."""
        await self._tasks.end(self._loop)

    def take(self, halt: Halt) -> None:
        """A workflow is stopped, or goes on; its runs end."""
        place = (halt.project, halt.workflow)
        self._halts.pop(place, None)
        if halt.halted:
            self._halts[place] = halt
            for end in list(self._inside.get(place, {}).values()):
                end(Cancelled(halt.told))
            self._tasks.spawn(self._wake(halt.project), "wake what waits")

    def execution(self, execution: str, end: End) -> "_Known":
        """While an execution runs. Raises what `begins` raises."""
        self.begins(execution)
        return _Known(self._running, execution, end)

    def inside(self, project: str, workflow: str, end: End) -> "_Known":
        """While a workflow runs. Raises what `enters` raises."""
        self.enters(project, workflow)
        return _Known(self._inside, (project, workflow), end)

    def begins(self, execution: str) -> None:
        """Raises Cancelled, ClientGone for one that was to end before it began."""
        if execution in self._known:
            raise _error(self._known[execution])

    def enters(self, project: str, workflow: str) -> None:
        """Raises WorkflowStopped."""
        halt = self._halts.get((project, workflow))
        if halt is not None:
            raise halt.refusal

    async def look(self) -> None:
        """Look at once: an execution that is to end may not wait for days before that."""
        await self._look()
        # one that has just ended itself meets its end here
        await asyncio.sleep(0)

    async def _wake(self, project: str) -> None:
        """Executions that wait go on: those inside a workflow that is stopped end by that, the others wait again."""
        try:
            await wake_all(self._store, project)
        except StoreUnavailable as exc:
            log.warning("executions of a stopped workflow that wait end when their time comes: %s", exc,
                        extra={"action": actions.STORE_AWAY})

    async def _now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._running:
                await self._look()

    async def _look(self) -> None:
        try:
            self._cursor, found = await cancelled(self._store, self._cursor)
        except StoreUnavailable as exc:
            log.warning("whether executions are to end is not known: %s", exc, extra={"action": actions.STORE_AWAY})
            return
        for execution, why in found.items():
            if execution not in self._known:
                for end in list(self._running.get(execution, {}).values()):
                    end(_error(why))
            self._known[execution] = why
        while len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]


def _error(why: str) -> WeirError:
    if why == "client-gone":
        return ClientGone("the caller has closed the connection, so the rest was not run")
    return Cancelled("an operator has cancelled this execution")
