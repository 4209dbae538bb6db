"""Which usage is meant: values that dimensions may have. Pure.

In:    dimension -> patterns.
Out:   whether an event, or a counter, is among them.
Never: a pattern that is more than `*`, `?` and, for statuses, `4xx`.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from shared.contracts.query import DIMENSIONS
from shared.contracts.usage import UsageEvent

# keys are dimensions, whichever type says so
Where = Mapping[Any, Sequence[str]]


def fits(where: Where, values: Mapping[str, object]) -> bool:
    """Whether each dimension that is named has one of its values."""
    return all(any(_matches(name, str(values[name]), pattern) for pattern in patterns)
               for name, patterns in where.items())


def event_fits(where: Where, event: UsageEvent) -> bool:
    """The same for an event."""
    return fits(where, {name: getattr(event, name) for name in where})


def parse(texts: Sequence[str]) -> dict[str, list[str]]:
    """`dimension=value,value` of each text. Raises ValueError that says what is wrong."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or name not in DIMENSIONS:
            raise ValueError(f"{text!r}: expected dimension=value, with one of {', '.join(DIMENSIONS)}")
        found.setdefault(name, []).extend(value.strip() for value in values.split(","))
    return found


def _matches(name: str, value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern.replace("x", "?") if name == "status" else pattern)
