"""What the store did not take in time is offered to it again, until it takes it or that means nothing any more.

In:    what is to be told to the store of an execution that has ended.
Out:   the store, changed, at once or a little later.
Never: somebody who waits for a store that is away.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.contracts.execution import ExecutionRecord
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store.redis import StoreUnavailable

log = logging.getLogger(__name__)
_REST_S = 1.0
# more than that do not wait in memory
_MOST_BYTES = 16_000_000
# of one that has neither body nor answer
_LEAST_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class _Offer:
    """`until_s`: in the loop's seconds; `otherwise`: what it means when it was never taken."""

    work: Callable[[], Awaitable[None]]
    request_id: str
    until_s: float
    otherwise: str
    size: int


class Late:
    """Of all executions of this process."""

    def __init__(self, tasks: Tasks) -> None:
        """Nothing is late yet."""
        self._tasks = tasks
        self._offers: deque[_Offer] = deque()
        self._bytes, self._offering = 0, False

    async def offer(self, work: Callable[[], Awaitable[None]], execution: ExecutionRecord, left_ms: int,
                    otherwise: str, size: int = 0) -> None:
        """Have it done, now or for as long as `left_ms`. `size`: bytes that it holds meanwhile."""
        try:
            await work()
        except StoreUnavailable as exc:
            now_s = asyncio.get_running_loop().time()
            self._add(_Offer(work, execution.request_id, now_s + left_ms / 1_000, otherwise, size + _LEAST_BYTES), exc)

    def _add(self, offer: _Offer, why: StoreUnavailable) -> None:
        if self._bytes + offer.size > _MOST_BYTES or offer.until_s <= asyncio.get_running_loop().time():
            _lost(offer, why)
            return
        self._bytes += offer.size
        self._offers.append(offer)
        if not self._offering:
            self._offering = True
            log.warning("the store is told how executions ended as soon as it listens: %s", why,
                        extra={"action": actions.STORE_AWAY, "request_id": offer.request_id})
            self._tasks.spawn(self._offer(), "late for the store")

    async def _offer(self) -> None:
        while self._offers:
            await asyncio.sleep(_REST_S)
            await self._offer_all()
        self._offering = False

    async def _offer_all(self) -> None:
        """Until there are none, or the store does not answer."""
        while self._offers:
            try:
                await self._offers[0].work()
            except StoreUnavailable as exc:
                self._forget_the_late(exc)
                return
            self._bytes -= self._offers.popleft().size

    def _forget_the_late(self, why: StoreUnavailable) -> None:
        now_s, waiting = asyncio.get_running_loop().time(), self._offers
        self._offers = deque()
        for offer in waiting:
            if offer.until_s > now_s:
                self._offers.append(offer)
            else:
                self._bytes -= offer.size
                _lost(offer, why)


def _lost(offer: _Offer, why: StoreUnavailable) -> None:
    log.warning("%s: %s", offer.otherwise, why,
                extra={"action": actions.STORE_AWAY, "request_id": offer.request_id})
