"""Answers under their idempotency keys, offered to the store until it takes them.

In:    answers.
Out:   the same in the store, at once or a little later.
Never: a caller that waits for a store that hangs; an answer offered for longer than its key is held: after that it is
       free, and the call may run again.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass

from shared.contracts.kept_answer import KeptAnswer
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store.idempotency import keep
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)
_REST_S = 1.0
# more than that do not wait in memory
_MOST_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class _Late:
    """`until_s`: in the loop's seconds."""

    key: str
    answer: KeptAnswer
    keep_ms: int
    until_s: float
    size: int


class AnswerKeeper:
    """Of all calls of this process."""

    def __init__(self, store: Store, tasks: Tasks) -> None:
        """Nothing to keep yet."""
        self._store, self._tasks = store, tasks
        self._late: deque[_Late] = deque()
        self._bytes, self._offering = 0, False

    async def keep(self, key: str, answer: KeptAnswer, keep_ms: int, held_ms: int) -> None:
        """Keep it; `held_ms`: for how long nobody else has the key."""
        try:
            await keep(self._store, key, answer, keep_ms)
        except StoreUnavailable as exc:
            size = len(answer.to_bytes())
            if self._bytes + size > _MOST_BYTES:
                _lost(answer.request_id, exc)
                return
            self._bytes += size
            until_s = asyncio.get_running_loop().time() + held_ms / 1_000
            self._late.append(_Late(key, answer, keep_ms, until_s, size))
            if not self._offering:
                self._offering = True
                log.warning("answers are kept as soon as the store takes them: %s", exc,
                            extra={"action": actions.STORE_AWAY})
                self._tasks.spawn(self._offer(), "late answers")

    async def _offer(self) -> None:
        while self._late:
            await asyncio.sleep(_REST_S)
            await self._offer_all()
        self._offering = False

    async def _offer_all(self) -> None:
        """Until there are none, or the store does not answer."""
        while self._late:
            one = self._late[0]
            try:
                await keep(self._store, one.key, one.answer, one.keep_ms)
            except StoreUnavailable as exc:
                self._forget_the_late(exc)
                return
            self._late.popleft()
            self._bytes -= one.size

    def _forget_the_late(self, why: StoreUnavailable) -> None:
        now_s, waiting = asyncio.get_running_loop().time(), self._late
        self._late = deque()
        for one in waiting:
            if one.until_s > now_s:
                self._late.append(one)
            else:
                self._bytes -= one.size
                _lost(one.answer.request_id, why)


def _lost(request_id: str, why: StoreUnavailable) -> None:
    log.warning("an answer cannot be given again: %s", why,
                extra={"action": actions.STORE_AWAY, "request_id": request_id})
