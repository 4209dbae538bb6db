"""What the store did not take in time is offered to it again, until it takes it or that means nothing any more.

In:    what is to be told to the store of a call.
Out:   the store, changed, at once or a little later.
Never: a caller that waits for a store that is away; an offer whose time is over: a key may be somebody else's by then.

A place of a limit lasts as long as a call may run, five minutes as a rule, and a result is kept for a day. Without this
a store that was away for a second would keep others out, and tell what is not so, for as long.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store.redis import StoreUnavailable

log = logging.getLogger(__name__)
_REST_S = 1.0
# more than that do not wait in memory
_MOST_BYTES = 16_000_000
# of one that has neither body nor answer
_LEAST_BYTES = 1_000
# the name of the task
LATE = "late for the store"


class Offer(NamedTuple):
    """What the store is to be told of a call.

    `left_ms`: for how long that means something; `otherwise`: what it means when it was never taken; `size`: bytes that
    it holds in memory meanwhile.
    """

    work: Callable[[], Awaitable[None]]
    request_id: str
    left_ms: int
    otherwise: str
    size: int = 0


class Late:
    """What one part of a service has to tell, of all calls of its process."""

    def __init__(self, tasks: Tasks) -> None:
        """Nothing is late yet."""
        self._tasks = tasks
        # each with when its time is over, in the loop's seconds
        self._offers: deque[tuple[float, Offer]] = deque()
        self._bytes, self._offering = 0, False
        # what was not told and never will be: how often, and of which call last
        self._lost: dict[str, tuple[int, str]] = {}

    async def offer(self, offer: Offer) -> None:
        """Have it done, now or later."""
        try:
            await offer.work()
        except StoreUnavailable as exc:
            self.later(offer, exc)

    def later(self, offer: Offer, why: StoreUnavailable) -> None:
        """Have it done once the store listens again."""
        size = offer.size + _LEAST_BYTES
        if self._bytes + size > _MOST_BYTES or offer.left_ms <= 0:
            self._lose(offer)
        else:
            self._bytes += size
            self._offers.append((asyncio.get_running_loop().time() + offer.left_ms / 1_000, offer))
        if not self._offering:
            self._offering = True
            log.warning("the store is told how calls have ended as soon as it listens: %s", why,
                        extra={"action": actions.STORE_AWAY, "request_id": offer.request_id})
            self._tasks.spawn(self._offer(), LATE)

    async def _offer(self) -> None:
        while self._offers or self._lost:
            await asyncio.sleep(_REST_S)
            await self._offer_all()
            self._tell_lost()
        self._offering = False

    async def _offer_all(self) -> None:
        """Until there are none, or the store does not answer."""
        while self._offers:
            _, offer = self._offers[0]
            try:
                await offer.work()
            except StoreUnavailable:
                self._lose_the_late()
                return
            self._offers.popleft()
            self._bytes -= offer.size + _LEAST_BYTES

    def _lose_the_late(self) -> None:
        now_s, waiting = asyncio.get_running_loop().time(), self._offers
        self._offers = deque()
        for until_s, offer in waiting:
            if until_s > now_s:
                self._offers.append((until_s, offer))
            else:
                self._bytes -= offer.size + _LEAST_BYTES
                self._lose(offer)

    def _lose(self, offer: Offer) -> None:
        self._lost[offer.otherwise] = self._lost.get(offer.otherwise, (0, ""))[0] + 1, offer.request_id

    def _tell_lost(self) -> None:
        """A line for each kind: of a store that is away for long there would be one for each call."""
        for otherwise, (count, request_id) in self._lost.items():
            log.warning("%s; calls of which the store was not told in time: %d", otherwise, count,
                        extra={"action": actions.STORE_AWAY, "request_id": request_id})
        self._lost.clear()
