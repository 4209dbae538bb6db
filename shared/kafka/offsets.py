"""Decide which offset of a partition may be committed.

In:    offsets as fetched, offsets as finished, in any order.
Out:   the highest offset below which nothing is open, plus one; None when nothing moved.
Never: Kafka, asyncio, a clock. `intake.py` owns those.

Fetched offsets have gaps (compaction, transaction markers), so we count what we saw, not what lies between.
"""

from collections import deque
from collections.abc import Iterable, Sequence


class OffsetTracker:
    """The open offsets of one partition."""

    def __init__(self) -> None:
        """Nothing fetched yet."""
        self._fetched: deque[int] = deque()
        self._open: set[int] = set()
        self._committable: int | None = None

    def fetched(self, offsets: Sequence[int]) -> int:
        """Offsets of a poll, ascending; each is open until it is finished. How many were not open before."""
        before = len(self._open)
        self._fetched.extend(offsets)
        self._open.update(offsets)
        return len(self._open) - before

    def finished(self, offsets: Iterable[int]) -> int:
        """Offsets whose work is done, effects acknowledged; one that is not open is ignored. How many were open."""
        still_open, fetched = self._open, self._fetched
        before = len(still_open)
        still_open.difference_update(offsets)
        while fetched and fetched[0] not in still_open:
            self._committable = fetched.popleft() + 1
        return before - len(still_open)

    @property
    def oldest(self) -> int | None:
        """The lowest offset that is not finished, or None."""
        return self._fetched[0] if self._fetched else None

    @property
    def open(self) -> int:
        """How many fetched offsets are not finished."""
        return len(self._open)

    def take_committable(self) -> int | None:
        """The offset to commit since the last call, or None."""
        offset, self._committable = self._committable, None
        return offset

    def put_back(self, offset: int) -> None:
        """This one could not be committed; what was finished since then stands."""
        if self._committable is None:
            self._committable = offset
