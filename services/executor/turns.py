"""Few places, shared among many projects: whoever has waited takes turns with the others.

In:    the name of whoever wants a place.
Out:   a place, in time.
Never: a project that waits behind all that another one has in line.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Made for one event loop."""

    def __init__(self, places: int) -> None:
        """All free."""
        self._free = places
        # in the order of their next turns
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """While a place is held."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(name)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, name: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(name, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                # it came in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._lines:
            name = next(iter(self._lines))
            line = self._lines.pop(name)
            first = line.popleft()
            if line:
                # behind the others
                self._lines[name] = line
            if not first.done():
                first.set_result(None)
                return
        self._free += 1
