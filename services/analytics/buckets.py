"""Spans of time that usage is counted in. Pure.

In:    unix milliseconds.
Out:   bucket keys, and the fewest buckets that cover a range.
Never: a time zone: buckets are UTC; calendar periods with zones are made of hours.
"""

from collections.abc import Iterator
from dataclasses import dataclass

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Grain:
    """One size of bucket; `keep_s`: for how long its counters are kept."""

    letter: str
    size_ms: int
    keep_s: int


MINUTE = Grain("m", MINUTE_MS, 2 * 86_400)
HOUR = Grain("h", HOUR_MS, 62 * 86_400)
DAY = Grain("d", DAY_MS, 400 * 86_400)
GRAINS = (MINUTE, HOUR, DAY)


def key(project: str, grain: Grain, time_ms: int) -> str:
    """The counter hash of the bucket that a time falls in."""
    return f"weir:usage:{project}:{grain.letter}:{time_ms // grain.size_ms}"


def cover(since_ms: int, until_ms: int) -> Iterator[tuple[Grain, int]]:
    """Buckets as (grain, start), whole days and hours where they fit, minutes at the edges; the edges themselves are
    rounded outward to whole minutes."""
    at = since_ms // MINUTE_MS * MINUTE_MS
    end = -(-until_ms // MINUTE_MS) * MINUTE_MS
    while at < end:
        grain = next(grain for grain in (DAY, HOUR, MINUTE)
                     if at % grain.size_ms == 0 and (at + grain.size_ms <= end or grain is MINUTE))
        yield grain, at
        at += grain.size_ms
