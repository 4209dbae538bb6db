"""When tokens were used last.

In:    ids of tokens, times.
Out:   a hash in Redis, and what stands in it.
Never: a write per call: policy notes uses in memory and writes them down every few seconds.
"""

import asyncio
import logging
from collections.abc import Sequence

from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.store.connection import Argument
from shared.store.redis import Store, StoreUnavailable

log = logging.getLogger(__name__)
_KEY = "weir:token:used"
_EVERY_S = 2.0


class LastUsed:
    """Notes uses; a part of the service that starts and stops with it."""

    def __init__(self, store: Store, tasks: Tasks) -> None:
        """Nothing noted yet."""
        self._store, self._tasks = store, tasks
        self._noted: dict[str, int] = {}
        self._loop: asyncio.Task[None] | None = None

    def note(self, token: str, now_ms: int) -> None:
        """A token was used."""
        self._noted[token] = now_ms

    async def start(self) -> None:
        """Write down now and then."""
        self._loop = self._tasks.spawn(self._now_and_then(), "last used")

    async def stop(self) -> None:
        """Write down what is left."""
        if self._loop is not None:
            await self._tasks.end(self._loop)
        await self._write()

    async def _now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self._write()

    async def _write(self) -> None:
        noted, self._noted = self._noted, {}
        if not noted:
            return
        pairs: list[Argument] = [part for pair in noted.items() for part in pair]
        try:
            await self._store.command("HSET", _KEY, *pairs)
        except StoreUnavailable as exc:
            self._noted = {**noted, **self._noted}
            log.warning("the last use of %d tokens is not written yet: %s", len(noted), exc,
                        extra={"action": actions.STORE_AWAY})


async def last_used(store: Store, tokens: Sequence[str]) -> dict[str, int]:
    """Unix ms by token id; tokens never used are not in it, nor is any while the store is away."""
    if not tokens:
        return {}
    try:
        found = await store.command("HMGET", _KEY, *tokens)
    except StoreUnavailable:
        return {}
    return {token: int(at) for token, at in zip(tokens, found, strict=True) if at is not None}


async def forget(store: Store, tokens: Sequence[str]) -> None:
    """Tokens that are kept no longer: each would take its room for ever. While the store is away, they stay."""
    if not tokens:
        return
    try:
        await store.command("HDEL", _KEY, *tokens)
    except StoreUnavailable as exc:
        log.warning("the last use of %d tokens that are kept no longer stays in the store: %s", len(tokens), exc,
                    extra={"action": actions.STORE_AWAY})
