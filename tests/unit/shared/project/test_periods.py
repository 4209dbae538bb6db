"""Calendar periods begin and end where their zone says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

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


LORD_HOWE = ZoneInfo("Australia/Lord_Howe")


@pytest.mark.parametrize(("now", "start", "end"), [
    # at 02:00 it is 01:30 again
    ("2026-04-05T01:59:59+11:00", "2026-04-05T01:00:00+11:00", "2026-04-05T02:00:00+11:00"),
    ("2026-04-05T01:30:00+10:30", "2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30"),
    # at 02:00 it is 02:30 already
    ("2026-10-04T01:59:59+10:30", "2026-10-04T01:00:00+10:30", "2026-10-04T02:00:00+10:30"),
    ("2026-10-04T02:30:00+11:00", "2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00")])
def test_hour_in_which_clocks_change_shares_no_time_with_another(now: str, start: str, end: str) -> None:
    assert bounds(ms(now), "hour", LORD_HOWE) == (ms(start), ms(end))


def changes(zone: ZoneInfo, year: int) -> Iterator[int]:
    """When a zone changes its clocks in a year and the next one, to the second, unix ms."""
    def offset(moment: int) -> timedelta | None:
        return datetime.fromtimestamp(moment, zone).utcoffset()
    first, last = (int(datetime(one, 1, 1, tzinfo=UTC).timestamp()) for one in (year, year + 2))
    for before in range(first, last, 43_200):
        after = before + 43_200
        while offset(after) != offset(before) and after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
        if offset(after) != offset(before):
            yield after * 1000


@cache
def all_changes() -> list[tuple[int, ZoneInfo]]:
    """Each change that there is, with one of the zones that make it."""
    found: dict[tuple[int, object], ZoneInfo] = {}
    for zone in map(ZoneInfo, sorted(available_timezones())):
        for change in changes(zone, 2026):
            found.setdefault((change, datetime.fromtimestamp(change / 1000, zone).utcoffset()), zone)
    return [(change, zone) for (change, _), zone in found.items()]


@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
def test_periods_follow_each_other_wherever_clocks_change(period: Any) -> None:
    assert {zone.key for _, zone in all_changes()} & {"Australia/LHI", LORD_HOWE.key}
    for change, zone in all_changes():
        now_ms = change - 4 * 3_600_000
        while now_ms < change + 4 * 3_600_000:
            start, end = bounds(now_ms, period, zone)
            assert start <= now_ms < end
            inside = (start, (start + end) // 2, end - 1)
            assert {bounds(one, period, zone) for one in inside} == {(start, end)}, zone
            assert bounds(end, period, zone)[0] == end, zone
            now_ms = end


@given(st.lists(st.integers(1_700_000_000_000, 1_800_000_000_000), min_size=1, max_size=20))
def test_calendar_that_remembers_its_last_period_says_what_one_without_a_memory_says(times: list[int]) -> None:
    kept = Calendar("month", "Europe/Berlin")
    assert [kept.at(now_ms) for now_ms in times] == [bounds(now_ms, "month", BERLIN) for now_ms in times]
