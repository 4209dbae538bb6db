"""Decide which offset of a partition may be committed.

In:    offsets as fetched, offsets as finished, in any order.
Out:   the highest offset below which nothing is open, plus one; None when nothing moved.
Never: Kafka, asyncio, a clock. `intake.py` owns those.

Fetched offsets have gaps (compaction, transaction markers), so we count what we saw, not what lies between.
"""

from collections import deque
from collections.abc import Iterable


class OffsetTracker:
    """The open offsets of one partition."""

    def __init__(self) -> None:
        """Nothing fetched yet."""
        self._fetched: deque[int] = deque()
        self._open: set[int] = set()
        self._committable: int | None = None

    def fetched(self, offsets: Iterable[int]) -> None:
        """Offsets of a poll, ascending; each is open until it is finished."""
        new = tuple(offsets)
        self._fetched.extend(new)
        self._open.update(new)

    def finished(self, offsets: Iterable[int]) -> None:
        """Offsets whose work is done, effects acknowledged; one that is not open is ignored."""
        self._open.difference_update(offsets)
        while self._fetched and self._fetched[0] not in self._open:
            self._committable = self._fetched.popleft() + 1

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
