"""When an allowance will be spent, if the day goes on as it began. Pure.

In:    what is left, what was spent today, the times.
Out:   the moment, or None when the period ends before.
Never: a rate from less than an hour: a first call at midnight is no trend.
"""

_HOUR_MS = 3_600_000


def spent_at(left: int, today: int, day_start: int, now_ms: int, end: int) -> int | None:
    """Unix ms; now when nothing is left."""
    if left <= 0:
        return now_ms
    if today <= 0:
        return None
    at = now_ms + left * max(now_ms - day_start, _HOUR_MS) // today
    return at if at < end else None
