"""Prove that a request goes all the way, before anybody is told that we are ready.

In:    the caller that real requests use.
Out:   None when a real request went through policy and executor a moment ago, otherwise the reason.
Never: usage: the canary project is not counted.
"""

import asyncio
import logging

from shared.client.caller import Caller
from shared.clock import Clock
from shared.contracts import ids
from shared.contracts.request import RequestRecord
from shared.errors import WeirError
from shared.names import actions, topics
from shared.project.canary import CANARY

log = logging.getLogger(__name__)
_TIMEOUT_MS = 2_000
_GOOD_FOR_US = 1_000_000


class Canary:
    """A probe that asks at most once a second, and never twice at a time: whoever asks it meanwhile hears the same."""

    def __init__(self, caller: Caller, clock: Clock) -> None:
        """Nothing is known yet."""
        self._caller, self._clock = caller, clock
        self._good_until_us = self._asked = 0
        self._reason: str | None = None
        self._turn = asyncio.Lock()

    async def __call__(self) -> str | None:
        """None, or why the cluster cannot answer."""
        if self._clock.elapsed_us() < self._good_until_us:
            return None
        asked = self._asked
        async with self._turn:
            if asked == self._asked:
                self._reason = await self._ask(self._clock.now_ms(), self._clock.elapsed_us())
                self._asked += 1
            return self._reason

    async def _ask(self, now_ms: int, began_us: int) -> str | None:
        request = RequestRecord(request_id=ids.request_id(now_ms), project=CANARY.name,
                                operation=CANARY.operations[0].name, deadline_ms=now_ms + _TIMEOUT_MS)
        try:
            reply = await self._caller.ask(topics.REQUESTS_EDGE, b"", request.enclosed, _TIMEOUT_MS)
        except WeirError as exc:
            log.warning("the canary did not come back: %s", exc, extra={"action": actions.CANARY_FAILED})
            return f"no request goes through policy and executor: {exc}"
        if reply.status != 200:
            return f"the canary request was answered {reply.status}"
        self._good_until_us = began_us + _GOOD_FOR_US
        return None
