"""Durable executions whose time has come go on.

In:    the store's word on who waits.
Out:   their records on `weir.executions`, for whichever executor is free.
Never: a record forgotten before the broker has it, or because this release cannot read it.
"""

import asyncio
import logging

from shared.clock import Clock
from shared.contracts.execution import ExecutionRecord
from shared.errors import BadRecord, WeirError
from shared.kafka.outbox import Outbox
from shared.names import actions, topics
from shared.runtime.tasks import Tasks
from shared.store.redis import Store, StoreUnavailable
from shared.store.waiting import done, due

log = logging.getLogger(__name__)
_LOOK_S = 0.5
_AT_ONCE = 100


class Waker:
    """Looks twice a second; executors share the work."""

    def __init__(self, store: Store, outbox: Outbox, tasks: Tasks, clock: Clock) -> None:
        """Looks once started."""
        self._store, self._outbox, self._tasks, self._clock = store, outbox, tasks, clock
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look now and then."""
        self._loop = self._tasks.spawn(self._now_and_then(), "waker")

    async def stop(self) -> None:
        """Look no more."""
        await self._tasks.end(self._loop)

    async def _now_and_then(self) -> None:
        while True:
            try:
                found = await self._look()
            except (StoreUnavailable, WeirError) as exc:
                found = 0
                log.warning("executions that wait do not go on yet: %s", exc, extra={"action": actions.STORE_AWAY})
            if found < _AT_ONCE:
                await asyncio.sleep(_LOOK_S)

    async def _look(self) -> int:
        lease, executions = await due(self._store, self._clock.now_ms(), _AT_ONCE)
        await asyncio.gather(*(self._go_on(name, execution, lease) for name, execution in executions.items()))
        return len(executions)

    async def _go_on(self, name: str, execution: ExecutionRecord | BadRecord | None, lease: int) -> None:
        if isinstance(execution, BadRecord):
            # it is due again when the lease is over: an executor of another release may be able to
            log.error("the time of execution %s has come, and this executor cannot read its record: %s. It waits for "
                      "one that can, of the release that wrote it", name, execution,
                      extra={"action": actions.RECORD_DEAD, "request_id": name})
            return
        if execution is None:
            log.error("execution %s waited, and its record is gone", name,
                      extra={"action": actions.RECORD_DEAD, "request_id": name})
        else:
            await self._outbox.send(topics.EXECUTIONS, execution.body, execution.to_headers())
        await done(self._store, name, "" if execution is None else execution.project, lease)
