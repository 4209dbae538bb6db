"""Is a failed step tried again, and when?

In:    the error, how often the step was tried, what its owner allows, a random number.
Out:   milliseconds to wait, or None.
Never: a clock, a pause, a random number of its own.
"""

from collections.abc import Sequence

from shared.errors import TasksSpent, WeirError
from shared.project.steps.base import Retry


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
