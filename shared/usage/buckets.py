"""Spans of time that usage is counted in. Pure.

In:    unix milliseconds.
Out:   buckets: their keys and ends, and the fewest of them that cover a range.
Never: a time zone: buckets are UTC; calendar periods with zones are made of hours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
_EPOCH = 1970


@dataclass(frozen=True, slots=True)
class Grain:
    """One size of bucket; `size_ms` 0 is a calendar month; `keep_s`: for how long counters are kept after its end."""

    letter: str
    name: str
    size_ms: int
    keep_s: int

    def index(self, time_ms: int) -> int:
        """Number of the bucket that a time is in."""
        return time_ms // self.size_ms if self.size_ms else month_of(time_ms // DAY_MS)

    def start(self, index: int) -> int:
        """When a bucket begins; it ends where the next one begins."""
        return index * self.size_ms if self.size_ms else _month_start(index)

    def end_of(self, time_ms: int) -> int:
        """When the bucket that a time is in ends."""
        return self.start(self.index(time_ms) + 1)


MINUTE = Grain("m", "minute", MINUTE_MS, 2 * 86_400)
HOUR = Grain("h", "hour", HOUR_MS, 62 * 86_400)
DAY = Grain("d", "day", DAY_MS, 400 * 86_400)
MONTH = Grain("M", "month", 0, 1_860 * 86_400)
GRAINS = (MINUTE, HOUR, DAY, MONTH)


@lru_cache(maxsize=1024)
def month_of(day: int) -> int:
    """The month that a day is in, both counted from the epoch."""
    date = datetime.fromtimestamp(day * 86_400, UTC)
    return (date.year - _EPOCH) * 12 + date.month - 1


@lru_cache(maxsize=1024)
def _month_start(index: int) -> int:
    year, month = divmod(index, 12)
    return int(datetime(_EPOCH + year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000


def key(project: str, grain: Grain, index: int) -> str:
    """The counter hash of a bucket."""
    return f"weir:usage:{project}:{grain.letter}:{index}"


def cover(since_ms: int, until_ms: int, largest: Grain = MONTH) -> Iterator[tuple[Grain, int]]:
    """Buckets as (grain, index): the largest that fit, minutes at the edges, which are rounded outward to minutes."""
    at = since_ms // MINUTE_MS * MINUTE_MS
    end = -(-until_ms // MINUTE_MS) * MINUTE_MS
    allowed = GRAINS[GRAINS.index(largest)::-1]
    while at < end:
        grain = next(grain for grain in allowed if grain is MINUTE or (
            at == grain.start(grain.index(at)) and grain.end_of(at) <= end))
        yield grain, grain.index(at)
        at = grain.end_of(at)
