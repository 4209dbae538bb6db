"""Which buckets answer a question about a range. Pure.

In:    a range, the time now, a wanted granularity.
Out:   the buckets, and the range that they cover.
Never: a minute that is kept no more, or minutes at the edge of a long range: then the range grows to whole hours, days
       or months, and says so.
"""

from typing import NamedTuple

from shared.contracts.query import Granularity
from shared.errors import InputInvalid
from shared.usage.buckets import GRAINS, HOUR, HOUR_MS, MINUTE, MONTH, Grain, cover

Bucket = tuple[Grain, int]
# of so long a range, a minute more or less is not worth sixty buckets
_LONG_MS = 12 * HOUR_MS


# 9999-01-01: the calendar of Python ends with that year, and so does what anybody means in milliseconds
LAST_MS = 253_370_764_800_000


class Range(NamedTuple):
    """`buckets`: [grain, index], in order."""

    since_ms: int
    until_ms: int
    buckets: list[Bucket]


def grain_of(name: Granularity) -> Grain:
    """The grain of a name."""
    return next(grain for grain in GRAINS if grain.name == name)


def range_of(since_ms: int, until_ms: int, now_ms: int, per: Granularity | None, most: int) -> Range:
    """The buckets of a range, at most so many. Raises InputInvalid."""
    if max(since_ms, until_ms) > LAST_MS:
        raise InputInvalid("the range goes beyond the year 9998; its times are milliseconds, not a finer unit")
    kept = [grain for grain in GRAINS if grain.end_of(since_ms) + grain.keep_s * 1000 >= now_ms] or [MONTH]
    finest = kept[0]
    if per is None and finest is MINUTE and until_ms - since_ms > _LONG_MS:
        finest = HOUR
    if per is not None:
        wanted = grain_of(per)
        if wanted not in kept:
            raise InputInvalid(f"usage by the {per} is kept for {wanted.keep_s // 86_400} days; ask for it by the "
                               f"{finest.name}, or for a later range")
        finest = wanted
    since = finest.start(finest.index(since_ms))
    until = finest.end_of(until_ms - 1) if until_ms > since_ms else since
    if per is not None:
        found = _each(finest, since, min(until, finest.end_of(max(now_ms, since))), most)
    else:
        # nothing lies in the future, so the bucket of this month may stand for what is left of it
        end = until if until <= now_ms else MONTH.end_of(now_ms)
        found = [(grain, index) for grain, index in _bounded(since, end, most) if grain.start(index) <= now_ms]
    return Range(since, until, found)


def _each(grain: Grain, since: int, until: int, most: int) -> list[Bucket]:
    first, last = grain.index(since), grain.index(until - 1) if until > since else grain.index(since) - 1
    if last - first >= most:
        raise _too_many(most)
    return [(grain, index) for index in range(first, last + 1)]


def _bounded(since: int, until: int, most: int) -> list[Bucket]:
    found: list[Bucket] = []
    for bucket in cover(since, max(until, since)):
        found.append(bucket)
        if len(found) > most:
            raise _too_many(most)
    return found


def _too_many(most: int) -> InputInvalid:
    return InputInvalid(f"the range needs more than {most} buckets (WEIR_ANALYTICS_MAX_QUERY_BUCKETS); ask for a "
                        "shorter range, or for larger buckets")


