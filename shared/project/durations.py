"""Durations as owners write them: `500ms`, `30s`, `5m`, `1h`, `2d`.

In:    text with a unit.
Out:   milliseconds, and the text again.
Never: a number without a unit: nobody could tell what it means.
"""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_FORM = re.compile(r"(\d{1,10})(ms|s|m|h|d)")
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def to_ms(value: object) -> int:
    """Milliseconds of a duration. Raises ValueError."""
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a duration is a number with a unit: 500ms, 30s, 5m, 1h, 2d")
    return int(found[1]) * _UNITS_MS[found[2]]


def shown(ms: int) -> str:
    """As an owner would write it."""
    unit = next(unit for unit, size in reversed(_UNITS_MS.items()) if ms % size == 0)
    return f"{ms // _UNITS_MS[unit]}{unit}"


class Milliseconds(int):
    """Of a duration that somebody has written: what is said of it is said in such words."""


Duration = Annotated[
    int, BeforeValidator(lambda value: Milliseconds(to_ms(value))),
    PlainSerializer(lambda ms: f"{ms}ms", return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_FORM.pattern}$",
                    "description": "A number with a unit: 500ms, 30s, 5m"})]
