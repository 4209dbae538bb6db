"""Which partition of the reply topic is ours.

In:    a Redis lease, or a fixed ordinal.
Out:   a partition number, renewed in the background.
Never: correctness: two instances on one partition only read each other's replies and drop them by their nonce, so a
lost lease is logged and taken again, and nothing stops.
"""

import asyncio
import logging

from shared.errors import Unavailable
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)
LEASE_MS = 10_000
_TRIES = 40
_PAUSE_S = 0.5


class Slot:
    """A leased number from 0 to `slots` - 1, kept until `stop`."""

    def __init__(self, store: Store, tasks: Tasks, *, topic: str, owner: str, fixed: int | None = None) -> None:
        """`owner` is stable over restarts, so a restarted instance gets its own lease back; `fixed` needs no lease."""
        self._store, self._tasks, self._topic, self._owner, self._fixed = store, tasks, topic, owner, fixed
        self.slots = 1

    async def take(self, slots: int) -> int:
        """Lease a slot. Raises Unavailable when none is free or the store is away for too long."""
        self.slots = slots
        if self._fixed is not None:
            if self._fixed >= slots:
                raise Unavailable(f"reply slot {self._fixed} is fixed, but {self._topic} has {slots} partitions")
            return self._fixed
        for _ in range(_TRIES):
            try:
                slot = int(await self._lease())
            except StoreUnavailable as exc:
                log.warning("no lease yet: %s", exc, extra={"action": actions.LEASE_LOST})
                slot = -1
            if slot >= 0:
                log.info("reply slot %d", slot, extra={"action": actions.LEASE_TAKEN, "slot": slot})
                self._tasks.spawn(self._renew(), "renew reply slot")
                return slot
            await asyncio.sleep(_PAUSE_S)
        raise Unavailable(f"no free partition of {self._topic}: all {slots} are leased, or Redis is away; "
                          "add partitions, or stop an instance")

    async def _lease(self) -> int:
        keys = [f"weir:lease:{self._topic}:{slot}" for slot in range(self.slots)]
        return int(await self._store.run("lease", keys, [self._owner, LEASE_MS]))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            try:
                await self._lease()
            except StoreUnavailable as exc:
                log.warning("lease not renewed: %s", exc, extra={"action": actions.LEASE_LOST})
