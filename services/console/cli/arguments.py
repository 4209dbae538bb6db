"""Arguments that several commands take in the same form.

In:    what a person has typed.
Out:   its value, or what is wrong with it.
Never: a default.
"""

from datetime import UTC, datetime

import typer

from shared.project.durations import to_ms


def milliseconds(text: str, option: str) -> int:
    """A duration, as in 24h. Raises BadParameter that names the option."""
    try:
        return to_ms(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint=option) from None


def seconds(text: str, option: str) -> int:
    """A duration in whole seconds, not none. Raises BadParameter that names the option."""
    found = seconds_or_none(text, option)
    if not found:
        raise typer.BadParameter(f"{text} is no time at all; 1s is the least", param_hint=option)
    return found


def seconds_or_none(text: str, option: str) -> int:
    """A duration in seconds, a part of one for a whole one; it may be none. Raises BadParameter that names the option.
    """
    return -(-milliseconds(text, option) // 1000)


def moment(text: str, option: str, now_ms: int) -> int:
    """Unix milliseconds: a duration back from now, as in 24h, or a date or time (UTC where it names no zone).

    Raises BadParameter that names the option.
    """
    try:
        return max(0, now_ms - to_ms(text))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a duration (24h) nor a date (2026-11-01, 2026-11-01T08:00)",
                                 param_hint=option) from None
    return max(0, int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000))
