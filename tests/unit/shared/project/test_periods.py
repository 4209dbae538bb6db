"""Calendar periods begin and end where their zone says."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.project.periods import Calendar, bounds, zone_of

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(("now", "period", "start", "end"), [
    ("2026-03-29T12:00:00+02:00", "day", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
    ("2026-10-25T12:00:00+01:00", "day", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
    ("2026-03-31T23:59:59+02:00", "month", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"),
    ("2026-12-31T23:30:00+01:00", "month", "2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
    ("2026-11-01T00:00:00+01:00", "week", "2026-10-26T00:00:00+01:00", "2026-11-02T00:00:00+01:00"),
    ("2026-06-30T23:59:59+02:00", "quarter", "2026-04-01T00:00:00+02:00", "2026-07-01T00:00:00+02:00"),
    ("2026-12-31T23:59:59+01:00", "year", "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
    ("2026-10-25T02:30:00+01:00", "hour", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"),
])
def test_period_has_the_length_that_its_zone_gives_it(now: str, period: Any, start: str, end: str) -> None:
    assert bounds(ms(now), period, BERLIN) == (ms(start), ms(end))


@given(st.integers(0, 4_000_000_000_000), st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]),
       st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"]))
def test_every_moment_is_in_its_period_and_the_next_one_follows(now_ms: int, period: Any, name: str) -> None:
    zone = zone_of(name)
    start, end = bounds(now_ms, period, zone)
    assert start <= now_ms < end
    assert bounds(end, period, zone)[0] == end


@given(st.lists(st.integers(1_700_000_000_000, 1_800_000_000_000), min_size=1, max_size=20))
def test_calendar_that_remembers_its_last_period_says_what_one_without_a_memory_says(times: list[int]) -> None:
    kept = Calendar("month", "Europe/Berlin")
    assert [kept.at(now_ms) for now_ms in times] == [bounds(now_ms, "month", BERLIN) for now_ms in times]
