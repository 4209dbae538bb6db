"""Decide which offset of a partition may be committed, and what is finished above it.

In:    offsets as fetched, offsets as finished, in any order.
Out:   the highest offset below which nothing is open, plus one; what is finished behind an open one; None when nothing
       moved.
Never: Kafka, asyncio, a clock. `intake.py` owns those.

Fetched offsets have gaps (compaction, transaction markers), so we count what we saw, not what lies between.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from shared.kafka.finished import Finished, text_of
from shared.kafka.record import Record


class OffsetTracker:
    """The open offsets of one partition."""

    def __init__(self, before: Finished | None = None) -> None:
        """Nothing fetched yet; `before`: what whoever had the partition finished above the offset where we begin."""
        self._fetched: deque[int] = deque()
        self._open: set[int] = set()
        self._committable: int | None = None
        self._before = before
        self._end = self._newest_ms = 0
        # something was finished behind an open one since the last commit
        self._behind = False

    def fetched(self, records: Sequence[Record]) -> int:
        """Records of a poll, ascending; each is open until it is finished. How many were not open before."""
        if not records:
            return 0
        before, offsets = len(self._open), [record.offset for record in records]
        self._fetched.extend(offsets)
        self._open.update(offsets)
        self._end = offsets[-1] + 1
        self._newest_ms = max(self._newest_ms, *[record.timestamp for record in records])
        return len(self._open) - before

    def finished_before(self, records: Sequence[Record]) -> frozenset[int]:
        """Those offsets of a poll that need not be done again."""
        known = self._before
        if known is None or not records:
            return frozenset()
        if records[-1].offset >= known.end:
            self._before = None
        return frozenset(record.offset for record in records if known.has(record.offset, record.timestamp))

    def finished(self, offsets: Iterable[int]) -> int:
        """Offsets whose work is done, effects acknowledged; one that is not open is ignored. How many were open."""
        still_open, fetched = self._open, self._fetched
        before = len(still_open)
        still_open.difference_update(offsets)
        while fetched and fetched[0] not in still_open:
            self._committable = fetched.popleft() + 1
        done = before - len(still_open)
        self._behind |= done > 0 and len(fetched) > len(still_open)
        return done

    @property
    def oldest(self) -> int | None:
        """The lowest offset that is not finished, or None."""
        return self._fetched[0] if self._fetched else None

    @property
    def open(self) -> int:
        """How many fetched offsets are not finished."""
        return len(self._open)

    def take_committable(self) -> tuple[int, str] | None:
        """The offset to commit since the last call, and the text beside it; or None."""
        offset, self._committable = self._committable, None
        if offset is None:
            if not self._behind:
                return None
            offset = self._fetched[0]
        self._behind = False
        return offset, self._finished_above()

    def _finished_above(self) -> str:
        before = self._before
        if before is None:
            if len(self._fetched) == len(self._open):
                return ""
            return text_of(self._end, self._open, self._newest_ms)
        # what this life has not come to yet stands; what it has found there may be others than those that were finished
        ahead = (offset for offset in before.still_open if offset >= self._end)
        return text_of(before.end, {*self._open, *ahead}, before.newest_ms)

    def in_hand(self, before: "InHand | None") -> "InHand":
        """What goes on here though the partition is taken away; `before`: what did already when it came."""
        found = InHand()
        if before is not None:
            found.add(before, self._end)
        self.tell(found)
        return found

    def tell(self, in_hand: "InHand") -> None:
        """Say what is open of it."""
        in_hand.take(self._open, self._newest_ms)

    def put_back(self, offset: int) -> None:
        """This one could not be committed; what was finished since then stands."""
        if self._committable is None:
            self._committable = offset


class InHand:
    """What this process still works on of a partition that was taken away: should it come back, nothing of this begins
    a second time. A rebalance takes all partitions away and mostly gives some of them back at once."""

    def __init__(self) -> None:
        """Nothing yet."""
        # whatever was written later than the newest of them is none of them
        self._done, self._newest_ms = dict[int, bool](), 0

    def take(self, still_open: Iterable[int], newest_ms: int) -> None:
        """These are worked on; one that is known already is as far as it is."""
        for offset in still_open:
            self._done.setdefault(offset, False)
        self._newest_ms = max(self._newest_ms, newest_ms)

    def add(self, other: "InHand", start: int) -> None:
        """What another one has from an offset on."""
        self._done.update({offset: done for offset, done in other._done.items() if offset >= start})
        self._newest_ms = max(self._newest_ms, other._newest_ms)

    def finished(self, offsets: Iterable[int]) -> None:
        """Their work is done."""
        for offset in offsets:
            if offset in self._done:
                self._done[offset] = True

    def among(self, records: Sequence[Record]) -> tuple[frozenset[int], frozenset[int]]:
        """Those offsets of a poll that are still worked on, and those that are done by now."""
        found = [record.offset for record in records
                 if record.offset in self._done and record.timestamp <= self._newest_ms]
        done = frozenset(offset for offset in found if self._done[offset])
        return frozenset(found) - done, done

    def replaced(self, records: Sequence[Record]) -> list[Record]:
        """Those of a poll that stand where others did that are still worked on."""
        return [record for record in records
                if self._done.get(record.offset) is False and record.timestamp > self._newest_ms]

    def is_behind(self, records: Sequence[Record]) -> bool:
        """Whether it says nothing of what comes after these."""
        return all(offset <= records[-1].offset for offset in self._done)
