"""Is a failed step tried again, and when?

In:    the error, how often the step was tried, what its owner allows, a random number.
Out:   milliseconds to wait, or None.
Never: a clock, a pause, a random number of its own.
"""

from shared.errors import TasksSpent, WeirError
from shared.project.steps.base import Retry


def kind_of(error: WeirError) -> str:
    """What owners know an error by: the name that they gave it, or the reason code."""
    return str(error.members.get("error") or error.reason)


def pause_ms(error: WeirError, tried: int, retry: Retry | None, chance: float) -> int | None:
    """`tried`: 1 after the first try; `chance`: 0 to 1. None: no further try."""
    if retry is None or tried >= retry.attempts or kind_of(error) not in retry.on or isinstance(error, TasksSpent):
        return None
    longest = min(retry.delay_ms * retry.factor ** (tried - 1), retry.max_delay_ms)
    wait = longest * (1 - retry.jitter * chance)
    return max(round(wait), retry_after_ms(error))


def retry_after_ms(error: WeirError) -> int:
    """What the outside system asked for; 0 when it did not."""
    asked = error.members.get("retry_after_ms")
    return asked if isinstance(asked, int) else 0
