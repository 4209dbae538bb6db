"""What the store is told of executions, beside how they stand: what is kept, given back, put aside.

In:    an execution, its end or the time at which it goes on.
Out:   the store, changed.
Never: an execution that fails because the store is away, but for one that was to be put aside: it must not be lost.
"""

import logging
import random
from functools import partial

import msgspec

from services.executor.journal import Journals
from services.executor.scene import Parked, Scene
from shared.clock import Clock
from shared.contracts.execution import ExecutionRecord
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.reply import ReplyRecord
from shared.errors import Unavailable
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store import waiting
from shared.store.amounts import given_back
from shared.store.idempotency import freed, kept
from shared.store.late import Late, Offer
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)
# one for which there is no room is looked at again after so long; of a project's no more than so many in a second
_SOONEST_MS, _LATEST_MS, _LOOKS_PER_S = 1_000, 5_000, 300


class Keeping:
    """Of all executions of this process."""

    def __init__(self, store: Store, patient: Store, clock: Clock, journals: Journals, tasks: Tasks) -> None:
        """`patient`: for what nobody waits for."""
        self._late = Late(tasks)
        self._store, self._patient, self._clock, self._journals = store, patient, clock, journals
        # by project: the end of the line of those that were put aside, by the clock that never goes back
        self._line_ms: dict[str, float] = {}

    async def park(self, scene: Scene, until_ms: int, spent: int) -> None:
        """It goes on at a time, unix ms; `spent`: the tasks that it has run so far. Raises Unavailable."""
        execution = msgspec.structs.replace(scene.execution, spent=spent, accepted_ms=scene.accepted_ms)
        try:
            await waiting.park(self._patient, execution, until_ms)
        except StoreUnavailable as exc:
            log.warning("an execution cannot be put aside: %s", exc,
                        extra={"action": actions.STORE_AWAY, "request_id": execution.request_id})
            raise Unavailable("the store is away in which an execution waits; try again shortly",
                              headers={"Retry-After": "2"}) from exc

    async def put_aside(self, scene: Scene) -> Parked:
        """Nobody waits for it and there is no room: it leaves its place to others. Raises Unavailable."""
        execution, now_ms = scene.execution, self._clock.now_ms()
        latest_ms = max(execution.deadline_ms, now_ms + _SOONEST_MS)
        until_ms = min(now_ms + self._pause_ms(execution.project), latest_ms)
        await self.park(scene, until_ms, execution.spent)
        return Parked(until_ms)

    def _pause_ms(self, project: str) -> int:
        """Until one more that is put aside is looked at: each look costs a record, and very many may wait."""
        now_ms = self._clock.elapsed_us() / 1_000
        line_ms = max(now_ms, self._line_ms.pop(project, 0.0)) + 1_000 / _LOOKS_PER_S
        # the first one is that to which nothing was added for the longest time
        while self._line_ms and next(iter(self._line_ms.values())) < now_ms:
            del self._line_ms[next(iter(self._line_ms))]
        self._line_ms[project] = line_ms
        return max(random.randint(_SOONEST_MS, _LATEST_MS), round(line_ms - now_ms))

    async def forget(self, execution: ExecutionRecord) -> None:
        """One that has ended while it was put aside goes on no more."""
        await self._late.offer(Offer(
            partial(waiting.forget, self._patient, execution), execution.request_id, self._left_ms(execution),
            "an execution that has ended may begin again", len(execution.body)))

    async def failed(self, execution: ExecutionRecord) -> None:
        """A durable one can be resumed for as long as its result is kept."""
        if execution.keep_ms:
            await self._late.offer(Offer(
                partial(self._failed, execution), execution.request_id, execution.keep_ms,
                "a failed execution cannot be resumed", len(execution.body)))

    async def give_back(self, execution: ExecutionRecord, status: int) -> None:
        """What it held; after an answer of 2xx the message that it came by stays taken.

        What cannot be given back now is given back a little later, and ends with its time at the latest.
        """
        once = "" if 200 <= status < 300 else execution.once
        await self._late.offer(given_back(self._store, execution.own_id, execution.holds, once,
                                          self._left_ms(execution)))

    async def answer(self, execution: ExecutionRecord, reply: ReplyRecord) -> None:
        """For the next call with this idempotency key. What cannot be kept is free again after its deadline."""
        claim = execution.claim
        answer = KeptAnswer.of(reply, str(claim["digest"]))
        await self._late.offer(kept(self._store, str(claim["key"]), answer, int(claim["keep_ms"]),
                                    self._left_ms(execution)))

    async def free(self, execution: ExecutionRecord) -> None:
        """It was refused, and nothing has run: its idempotency key is for whoever tries again."""
        claim = execution.claim
        claimed = KeptAnswer.claimed(execution.own_id, str(claim["digest"]))
        await self._late.offer(freed(self._store, str(claim["key"]), claimed, self._left_ms(execution)))

    async def _failed(self, execution: ExecutionRecord) -> None:
        await waiting.keep_failed(self._patient, execution, execution.keep_ms)
        await self._journals.last_for(execution.project, execution.own_id, execution.keep_ms)

    def _left_ms(self, execution: ExecutionRecord) -> int:
        return execution.deadline_ms - self._clock.now_ms()
