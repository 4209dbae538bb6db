"""The day on which an allowance will be spent, if the day goes on as it began."""

import pytest

from services.control.forecast import spent_at

HOUR, DAY = 3_600_000, 86_400_000
MIDNIGHT = 1_764_543_600_000
MONTH_END = MIDNIGHT + 20 * DAY


@pytest.mark.parametrize(("left", "today", "after_ms", "expected"), [
    # 100 in ten hours: another 240 in a day
    (240, 100, 10 * HOUR, MIDNIGHT + 10 * HOUR + DAY),
    (1, 86_400, DAY - 1000, MIDNIGHT + DAY - 1000 + 999),
    # the period ends before
    (10**6, 100, 10 * HOUR, None),
    (240, 0, 10 * HOUR, None),
    # a first call at midnight is no trend: it counts as one an hour
    (24, 1, 1000, MIDNIGHT + 1000 + DAY),
    (0, 100, 10 * HOUR, MIDNIGHT + 10 * HOUR), (-5, 0, 10 * HOUR, MIDNIGHT + 10 * HOUR),
])
def test_what_is_left_lasts_as_long_as_today_says(left: int, today: int, after_ms: int, expected: int | None) -> None:
    assert spent_at(left, today, MIDNIGHT, MIDNIGHT + after_ms, MONTH_END) == expected
