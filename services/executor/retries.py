"""Is a failed step tried again, and when?

In:    the error, how often the step was tried, what its owner allows, a random number.
Out:   milliseconds to wait, or None.
Never: a clock, a pause, a random number of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

from shared.errors import TasksSpent, WeirError
from shared.project.steps.base import Retry

# beyond it no deadline reaches; a number of a hundred digits is no reason to fail otherwise
_LONGEST_WAIT_S = 30 * 86_400


def kind_of(error: WeirError) -> str:
    """What owners know an error by: the name that they gave it, or the reason code."""
    return str(error.members.get("error") or error.reason)


def status_of(error: WeirError) -> int:
    """The outside system's, where it has answered."""
    status = error.members.get("upstream_status", error.status)
    return status if isinstance(status, int) else error.status


def pause_ms(error: WeirError, tried: int, retry: Retry | None, chance: float) -> int | None:
    """`tried`: 1 after the first try; `chance`: 0 to 1. None: no further try."""
    if retry is None or tried >= retry.attempts or not _named(error, retry.on) or isinstance(error, TasksSpent):
        return None
    longest = min(retry.delay_ms * retry.factor ** (tried - 1), retry.max_delay_ms)
    wait = longest * (1 - retry.jitter * chance)
    return max(round(wait), retry_after_ms(error))


def goes_on(error: WeirError, tries: Sequence[tuple[Retry, int]]) -> bool:
    """Whether a step around the one that failed is tried again; `tries`: what each allows, and which try it is in."""
    return any(pause_ms(error, tried, retry, 0.0) is not None for retry, tried in tries)


def _named(error: WeirError, names: Sequence[str]) -> bool:
    status = status_of(error)
    return kind_of(error) in names or str(status) in names or f"{status // 100}xx" in names


def retry_after_ms(error: WeirError) -> int:
    """What the outside system asked for; 0 when it did not."""
    asked = error.members.get("retry_after_ms")
    return asked if isinstance(asked, int) else 0


def asked_to_wait(headers: Mapping[str, object], now_ms: int) -> dict[str, int]:
    """The member of an error that `retry_after_ms` reads: `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3),
    however its name is spelled; none where it says neither."""
    said = next((str(value) for name, value in headers.items() if name.lower() == "retry-after"), "")
    # whoever says it twice is taken by the first
    seconds = said.partition(",")[0]
    if seconds.isascii() and seconds.isdecimal():
        return {"retry_after_ms": min(int(seconds[:9]), _LONGEST_WAIT_S) * 1000}
    try:
        until = parsedate_to_datetime(said)
        wait_ms = round(until.replace(tzinfo=until.tzinfo or UTC).timestamp() * 1000) - now_ms
    except (ValueError, OverflowError):
        return {}
    return {"retry_after_ms": max(0, min(wait_ms, _LONGEST_WAIT_S * 1000))}
