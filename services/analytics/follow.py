"""Keep the stream processor where the ledger is: nothing passed over, nothing taken twice.

In:    where the ledger ends, the offsets of the envelopes that come.
Out:   whether an envelope is the next one; places to go back to.
Never: an envelope counted while one before it was not.

A stream processor may drop what it has fetched while partitions move, and go on behind it. Offsets of the usage topic
have no gaps, so the next envelope is always known, and what was dropped is read again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from shared.names import actions
from shared.runtime.tasks import Tasks

log = logging.getLogger(__name__)
_LOOK_S = 1.0
Seek = Callable[[int, int], Awaitable[None]]
Positions = Callable[[], Awaitable[Mapping[int, int]]]


class Places:
    """The next offset of each partition that this process owns. Pure."""

    def __init__(self) -> None:
        """No partitions."""
        self.next: dict[int, int] = {}

    def begin(self, counted: Mapping[int, int], first: Mapping[int, int]) -> dict[int, int]:
        """Take these partitions. `counted`: last offset in the ledger; `first`: what the topic still has.

        Returns how many envelopes of a partition are gone that nobody has counted.
        """
        self.next = {partition: max(counted.get(partition, -1) + 1, start) for partition, start in first.items()}
        return {partition: start - counted[partition] - 1 for partition, start in first.items()
                if partition in counted and start > counted[partition] + 1}

    def is_next(self, partition: int, offset: int) -> bool:
        """Whether this is the envelope that has to come; then the one after it is."""
        expected = self.next.get(partition)
        if expected is None or offset != expected:
            return False
        self.next[partition] = offset + 1
        return True


class Rewinder:
    """Looks now and then whether the processor has gone on without handing over what it read."""

    def __init__(self, places: Places, tasks: Tasks, waits: Callable[[], bool]) -> None:
        """`waits`: whether nothing is taken for now."""
        self._places, self._tasks, self._waits = places, tasks, waits
        self._task: asyncio.Task[None] | None = None

    def begin(self, positions: Positions, seek: Seek) -> None:
        """Look from now on. `positions`: what the processor would fetch next."""
        self._task = self._tasks.spawn(self._watch(positions, seek), "rewind")

    async def end(self) -> None:
        """Look no more."""
        await self._tasks.end(self._task)

    async def _watch(self, positions: Positions, seek: Seek) -> None:
        before: dict[int, int] = {}
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._waits():
                before = {}
                continue
            ahead = await positions()
            still = {partition: expected for partition, expected in self._places.next.items()
                     if ahead.get(partition, expected) > expected}
            for partition, expected in still.items():
                if before.get(partition) == expected:
                    log.warning("partition %d of the usage topic: envelopes from %d to %d were read and not handed "
                                "over; they are read again", partition, expected, ahead[partition],
                                extra={"action": actions.STREAM_REWOUND})
                    await seek(partition, expected)
            before = still
