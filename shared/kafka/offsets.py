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
        self._finished: set[int] = set()
        self._committable: int | None = None

    def fetched(self, offsets: Iterable[int]) -> None:
        """Offsets of a poll, ascending; each is open until it is finished."""
        self._fetched.extend(offsets)

    def finished(self, offsets: Iterable[int]) -> None:
        """Offsets whose work is done, effects acknowledged; one that was never fetched is ignored."""
        self._finished.update(offsets)
        while self._fetched and self._fetched[0] in self._finished:
            offset = self._fetched.popleft()
            self._finished.discard(offset)
            self._committable = offset + 1
        if not self._fetched:
            self._finished.clear()

    @property
    def open(self) -> int:
        """How many fetched offsets are not finished."""
        return len(self._fetched) - len(self._finished)

    def take_committable(self) -> int | None:
        """The offset to commit since the last call, or None."""
        offset, self._committable = self._committable, None
        return offset
