"""What the stream of envelopes has brought so far: repeats, and numbers that are missing.

In:    what the ledger notes of each producer.
Out:   counts.
Never: an alarm about an envelope that is only late: a number is missing when it is missing at each of several looks.

A producer numbers its envelopes 0, 1, 2...; its last ones cannot be missed, for nobody knows of them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping

from services.analytics.ledger import PRODUCERS, STREAM, pairs
from shared.names import actions
from shared.names import metrics as M
from shared.runtime.tasks import Tasks
from shared.store.redis import Store, StoreUnavailable
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
# partitions that are behind one another by less than this are only slow
_LOOK_EVERY_S, _LOOKS = 15, 8
_AT_ONCE = 500
COUNTS = ("envelopes", "requests", "deliveries", "repeated_envelopes", "repeated_events")


async def gaps(store: Store) -> dict[bytes, int]:
    """Producer -> numbers below its highest that have not come. Raises StoreUnavailable."""
    producers: list[bytes] = await store.command("ZRANGE", PRODUCERS, 0, -1)
    found: dict[bytes, int] = {}
    for at in range(0, len(producers), _AT_ONCE):
        part = producers[at:at + _AT_ONCE]
        noted = await store.many([("HMGET", producer, "highest", "envelopes") for producer in part])
        gone = [producer for producer, (highest, _) in zip(part, noted, strict=True) if highest is None]
        if gone:
            # their notes have expired
            await store.command("ZREM", PRODUCERS, *gone)
        for producer, (highest, came) in zip(part, noted, strict=True):
            if highest is not None and int(came or 0) <= int(highest):
                found[producer] = int(highest) + 1 - int(came or 0)
    return found


async def report(store: Store, before: Mapping[bytes, int]) -> dict[str, int]:
    """All counts; `before`: the gaps at an earlier look. Raises StoreUnavailable."""
    counts = {name.decode(): int(count) for name, count in pairs(await store.command("HGETALL", STREAM))}
    missing = persisting(await gaps(store), [before])
    return {**{name: counts.get(name, 0) for name in COUNTS}, "missing_envelopes": missing}


def persisting(now: Mapping[bytes, int], looks: Iterable[Mapping[bytes, int]]) -> int:
    """How many numbers were missing at each of the looks, and are now."""
    return sum(min(count, *(look.get(producer, 0) for look in looks)) for producer, count in now.items())


class StreamWatch:
    """Looks for missing envelopes now and then, and says how many there are."""

    def __init__(self, store: Store, tasks: Tasks, metrics: Metrics) -> None:
        """Looks once started."""
        self._store, self._tasks = store, tasks
        self._missing = 0
        metrics.read(M.ENVELOPES_MISSING, lambda: self._missing)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = self._tasks.spawn(self._watch(), "watch the stream")

    async def stop(self) -> None:
        """Look no more."""
        await self._tasks.end(self._task)

    async def _watch(self) -> None:
        looks: deque[Mapping[bytes, int]] = deque([{}], maxlen=_LOOKS)
        while True:
            try:
                now = await gaps(self._store)
            except StoreUnavailable:
                now = {}
            missing = persisting(now, looks)
            if missing > self._missing:
                log.warning("%d usage envelopes have a number and never came", missing,
                            extra={"action": actions.ENVELOPE_MISSING})
            looks.append(now)
            self._missing = missing
            await asyncio.sleep(_LOOK_EVERY_S)
