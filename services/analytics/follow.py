"""Keep the stream processor where the ledger is: nothing passed over, nothing taken twice.

In:    where the ledger ends, the offsets of the envelopes that come.
Out:   whether an envelope is the next one; places to go back to.
Never: an envelope counted while one before it was not.

A stream processor may drop what it has fetched while partitions move, and go on behind it. Offsets of the usage topic
have no gaps but where a transaction of a producer ended, or where the topic has forgotten what nobody had read; so the
next envelope is known, and what was dropped is read again. Where it does not come, the topic is asked what comes first.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from shared.errors import WeirError
from shared.names import actions
from shared.runtime.tasks import Tasks

log = logging.getLogger(__name__)
_LOOK_S = 1.0
Seek = Callable[[int, int], Awaitable[None]]
Positions = Callable[[], Awaitable[Mapping[int, int]]]


class TopicReplaced(RuntimeError):
    """The usage topic ends before what was counted of it; only a restart from its beginning makes it good."""


class Ahead(NamedTuple):
    """`first`: the first envelope from a place on, or the partition's end; `start`: the first offset that it has."""

    first: int
    start: int


Look = Callable[[int, int], Awaitable[Ahead]]
BeginAnew = Callable[[Sequence[int]], Awaitable[None]]


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

    def skip(self, partition: int, offset: int, first: int) -> None:
        """There is nothing from `offset` to `first`."""
        if self.next.get(partition) == offset:
            self.next[partition] = first


class Rewinder:
    """Looks now and then whether the processor has gone on without handing over what it read."""

    def __init__(self, places: Places, tasks: Tasks, waits: Callable[[], bool], look: Look,
                 begin_anew: BeginAnew) -> None:
        """`waits`: whether nothing is taken for now. `look`: what the topic has of a partition from an offset on.
        `begin_anew`: these partitions are of another topic than was counted."""
        self._places, self._tasks, self._waits, self._ahead_of = places, tasks, waits, look
        self._begin_anew = begin_anew
        self._task: asyncio.Task[None] | None = None

    def begin(self, positions: Positions, seek: Seek) -> None:
        """Look from now on. `positions`: what the processor would fetch next. Ends the service by TopicReplaced."""
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
                     if ahead.get(partition, expected) != expected}
            for partition, expected in still.items():
                if before.get(partition) == expected:
                    await self._go_back(partition, expected, ahead[partition], seek)
            before = still

    async def _go_back(self, partition: int, expected: int, ahead: int, seek: Seek) -> None:
        try:
            found = await self._ahead_of(partition, expected)
        except WeirError as exc:
            log.warning("partition %d of the usage topic stands at %d: %s", partition, expected, exc,
                        extra={"action": actions.KAFKA_RETRY})
            return
        if self._places.next.get(partition) != expected:
            # it has come meanwhile, or is another process's now
            return
        if found.first < expected:
            # now, and for all: by the time at which somebody looks again they may be longer than what was counted
            await self._begin_anew(tuple(self._places.next))
            raise TopicReplaced(f"partition {partition} of the usage topic ends at {found.first}, and {expected} have "
                                "been counted: it is another topic, and this process begins anew with it")
        if found.start > expected:
            log.error("partition %d of the usage topic: %d envelopes were gone before they were counted", partition,
                      found.start - expected, extra={"action": actions.STREAM_LOST})
        self._places.skip(partition, expected, found.first)
        if found.first < ahead:
            log.warning("partition %d of the usage topic: envelopes from %d to %d were read and not handed over; they "
                        "are read again", partition, found.first, ahead, extra={"action": actions.STREAM_REWOUND})
            await seek(partition, found.first)
