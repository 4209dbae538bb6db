"""Calendar periods in a time zone.

In:    a time, a period's name, a zone.
Out:   when the period began and when it ends, in unix ms.
Never: a clock. A day has 23 or 25 hours where the zone changes its clocks; an hour in which it does ends there, and
what is left of it by the new clock is one of its own (Australia/Lord_Howe changes by half an hour).
"""

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

CalendarPeriod = Literal["hour", "day", "week", "month", "quarter", "year"]
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


class BadZone(ValueError):
    """Not a name of the IANA time zone database."""


def zone_of(name: str) -> ZoneInfo:
    """A zone by its IANA name. Raises BadZone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadZone(f"there is no time zone {name!r}; write an IANA name: Europe/Berlin, UTC") from None


def bounds(now_ms: int, period: CalendarPeriod, zone: ZoneInfo) -> tuple[int, int]:
    """Start and end of the period that a time is in; weeks begin on Monday."""
    local = datetime.fromtimestamp(now_ms / 1000, zone)
    if period == "hour":
        start_ms = now_ms - (local.minute * 60 + local.second) * 1000 - local.microsecond // 1000
        return _by_one_clock(now_ms, start_ms, zone), _by_one_clock(now_ms, start_ms + 3_599_999, zone) + 1
    midnight = datetime(local.year, local.month, local.day, tzinfo=zone)
    if period == "day":
        return _ms(midnight), _ms(midnight + timedelta(days=1))
    if period == "week":
        monday = midnight - timedelta(days=local.weekday())
        return _ms(monday), _ms(monday + timedelta(days=7))
    months = _MONTHS[period]
    first = midnight.replace(day=1, month=local.month - (local.month - 1) % months)
    return _ms(first), _ms((first + timedelta(days=31 * months)).replace(day=1))


class Calendar:
    """Periods of one kind in one zone; remembers the last one it was asked for, as calls come one after the other."""

    def __init__(self, period: CalendarPeriod, zone: str) -> None:
        """Raises BadZone."""
        self._period, self._zone = period, zone_of(zone)
        self._last = (0, 0)

    def at(self, now_ms: int) -> tuple[int, int]:
        """Start and end of the period that a time is in."""
        if not self._last[0] <= now_ms < self._last[1]:
            self._last = bounds(now_ms, self._period, self._zone)
        return self._last


def _by_one_clock(now_ms: int, other_ms: int, zone: ZoneInfo) -> int:
    """The farthest time from now towards another one, up to which the zone does not change its clocks."""
    offset = _offset(now_ms, zone)
    if _offset(other_ms, zone) == offset:
        return other_ms
    here, there = now_ms, other_ms
    while abs(there - here) > 1:
        middle = (here + there) // 2
        here, there = (middle, there) if _offset(middle, zone) == offset else (here, middle)
    return here


def _offset(now_ms: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(now_ms / 1000, zone).utcoffset()


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
