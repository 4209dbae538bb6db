"""Buckets and the ranges they cover."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.usage import buckets

MINUTE = buckets.MINUTE_MS


def ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc,arg-type]  # year, month, day


@given(st.integers(0, 10**12), st.integers(0, 40 * buckets.DAY_MS))
def test_buckets_cover_a_range_without_gap_or_overlap(since: int, length: int) -> None:
    at = since // MINUTE * MINUTE
    for grain, index in buckets.cover(since, since + length):
        assert grain.start(index) == at
        at = grain.start(index + 1)
    assert at == max(-(-(since + length) // MINUTE) * MINUTE, since // MINUTE * MINUTE)


@given(st.integers(0, 10**13))
def test_time_is_in_the_bucket_that_its_index_names(time: int) -> None:
    for grain in buckets.GRAINS:
        assert grain.start(grain.index(time)) <= time < grain.end_of(time)


def test_whole_days_need_one_bucket_each_and_whole_months_one() -> None:
    assert len(list(buckets.cover(ms(2026, 1, 2), ms(2026, 1, 31)))) == 29
    assert list(buckets.cover(ms(2024, 2, 1), ms(2024, 3, 1))) == [(buckets.MONTH, 54 * 12 + 1)]


def test_no_bucket_is_larger_than_wanted() -> None:
    found = list(buckets.cover(ms(2026, 1, 1), ms(2026, 2, 1), largest=buckets.DAY))
    assert {grain for grain, _ in found} == {buckets.DAY}
    assert len(found) == 31
