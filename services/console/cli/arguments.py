"""Arguments that several commands take in the same form.

In:    what a person has typed.
Out:   its value, or what is wrong with it.
Never: a default.
"""

import re
from datetime import UTC, datetime

import typer

from shared.contracts.request import joined
from shared.names.headers import TCHAR
from shared.project.durations import to_ms

_HEADER_NAME = re.compile(f"{TCHAR}+")


def pairs(given: list[str] | None, option: str) -> list[tuple[str, str]]:
    """As in name=value, the value as it is. Raises BadParameter that names the option."""
    return [_pair(text, "=", option) for text in given or ()]


def headers(given: list[str] | None, option: str) -> dict[str, str]:
    """As in name: value; a name that comes twice is a list. Raises BadParameter that names the option."""
    found = [_pair(text, ":", option) for text in given or ()]
    for name, value in found:
        # a value is not told: it may be a secret (RFC 9110, 5.1 and 5.5)
        if _HEADER_NAME.fullmatch(name) is None or not value.strip().isprintable():
            raise typer.BadParameter(f"what is given for {name!r} is no header that can be sent", param_hint=option)
    return joined((name, value.strip()) for name, value in found)


def _pair(text: str, separator: str, option: str) -> tuple[str, str]:
    name, there, value = text.partition(separator)
    if not there or not name.strip():
        raise typer.BadParameter(f"{text!r} is not name{separator}value", param_hint=option)
    return name.strip(), value


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
