"""Which buckets answer a question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InputInvalid
from shared.usage.buckets import DAY, DAY_MS, GRAINS, HOUR, HOUR_MS, MINUTE, MINUTE_MS, MONTH
from shared.usage.ranges import LAST_MS, range_of
from tests.unit.shared.usage.test_buckets import ms

NOW = ms(2026, 11, 25, 7, 30)


@given(st.integers(0, 40 * DAY_MS), st.integers(1, 40 * DAY_MS))
def test_buckets_hold_the_whole_range_and_nothing_twice(back: int, length: int) -> None:
    since, until = NOW - back, min(NOW - back + length, NOW + MINUTE_MS)
    found = range_of(since, until, NOW, None, 3_000)
    assert found.since_ms <= since
    assert found.until_ms >= until
    at = found.since_ms
    for grain, index in found.buckets:
        assert grain.start(index) == at
        at = grain.start(index + 1)
    assert at >= min(found.until_ms, NOW)


@given(st.integers(0, 800 * DAY_MS))
def test_no_bucket_is_asked_for_that_is_kept_no_more(back: int) -> None:
    for grain, index in range_of(NOW - back, NOW, NOW, None, 3_000).buckets:
        assert grain.start(index + 1) + grain.keep_s * 1000 >= NOW


def test_range_of_today_needs_few_buckets() -> None:
    found = range_of(NOW - 24 * HOUR_MS, NOW + MINUTE_MS, NOW, None, 3_000).buckets
    assert [sum(grain is one for grain, _ in found) for one in GRAINS] == [0, 17, 1, 0]
    short = range_of(NOW - 2 * HOUR_MS, NOW + MINUTE_MS, NOW, None, 3_000).buckets
    assert [sum(grain is one for grain, _ in short) for one in GRAINS] == [30, 2, 0, 0]


def test_granularity_gives_one_bucket_after_the_other() -> None:
    found = range_of(NOW - 3 * HOUR_MS, NOW + MINUTE_MS, NOW, "hour", 3_000)
    assert found.buckets == [(HOUR, HOUR.index(NOW) + step) for step in (-3, -2, -1, 0)]
    assert {grain for grain, _ in range_of(ms(2026, 1, 1), NOW, NOW, "month", 100).buckets} == {MONTH}


def test_minutes_of_last_month_are_not_to_be_had() -> None:
    with pytest.raises(InputInvalid, match="ask for it by the hour"):
        range_of(NOW - 30 * DAY_MS, NOW, NOW, "minute", 10**6)
    assert {grain for grain, _ in range_of(NOW - 30 * DAY_MS, NOW - 29 * DAY_MS, NOW, None, 100).buckets} <= {HOUR, DAY}


def test_range_of_more_buckets_than_allowed_is_refused() -> None:
    with pytest.raises(InputInvalid, match="WEIR_ANALYTICS_MAX_QUERY_BUCKETS"):
        range_of(NOW - 24 * HOUR_MS, NOW, NOW, "minute", 1_000)
    assert MINUTE in {grain for grain, _ in range_of(NOW - HOUR_MS, NOW, NOW, "minute", 1_000).buckets}


@pytest.mark.parametrize(("since", "until"), [(0, 2**48 - 1), (2**48 - 2, 2**48 - 1), (0, LAST_MS + 1), (2**48 - 1, 0)])
def test_time_that_no_calendar_has_is_refused(since: int, until: int) -> None:
    assert range_of(0, LAST_MS, NOW, "month", 10**5).until_ms == LAST_MS
    with pytest.raises(InputInvalid, match="beyond the year 9998"):
        range_of(since, until, NOW, None, 10_000)
