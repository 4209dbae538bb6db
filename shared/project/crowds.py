"""What the engine of JSONata does in a time that grows with the square of what it is given, and without a look at the
clock: `$distinct`, and objects of many names (`$merge`, `$keys`, `$sift`, grouping).

In:    an expression that compiles; then a scope.
Out:   whether it may do any of that; whether what it reads is too much for it.
Never: a word about other expressions: they end by their time.

Pure.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jlens import Expression

# items of one array, or names of all objects: within the time that an expression has, or not much longer
MOST_ITEMS = 10_000
# and of two items each value is compared: the longest array times all values that are read
_MOST_COMPARED = MOST_ITEMS ** 2
# values beside the items of that array which do not matter
_MOST_BESIDE = 100
TOO_MANY = (f"it groups, or calls $distinct, $merge, $keys, $sift or $eval, and reads an array of more than "
            f"{MOST_ITEMS} items, or more different names; or compares items of too many values")
# `$eval` may call any of them
_SQUARE, _COMPARING = re.compile(r"\$(?:distinct|merge|keys|sift|eval)\b"), re.compile(r"\$(?:distinct|eval)\b")
# a brace behind a value groups it; one behind the head of a function does not
_HEAD = re.compile(r"(?:function|λ)\s*\([^)]*\)\s*(?:<[^{]*>\s*)?")
_GROUPING = re.compile(r"[\w)\]}`'\"*$%/]\s*\{")


def crowd_in(source: str, compiled: Expression) -> Callable[[Mapping[str, Any]], bool] | None:
    """What tells whether a scope is too much for it; None for an expression that does nothing of that kind."""
    if _SQUARE.search(source) is None and _GROUPING.search(_HEAD.sub(",", source)) is None:
        return None
    read: Any = compiled.reads().get("input")
    most_compared = _MOST_COMPARED if _COMPARING.search(source) else None
    return lambda scope: _is_crowded(list(_reached(scope, read)), most_compared)


def _reached(value: Any, read: Any) -> Iterator[Any]:
    """The parts that are read; an array on the way, too, as it stands when nothing of its items is told."""
    if not isinstance(read, dict) or not read:
        yield value
    elif isinstance(value, dict):
        for name in read.keys() & value.keys():
            yield from _reached(value[name], read[name])
    elif isinstance(value, list):
        yield [part for item in value for part in _reached(item, read)]


def _is_crowded(left: list[Any], most_compared: int | None) -> bool:
    names: set[str] = set()
    longest, values = 0, 0
    while left:
        value = left.pop()
        values += 1
        if isinstance(value, dict):
            names.update(value)
            left += value.values()
        elif isinstance(value, list):
            longest = max(longest, len(value))
            left += value
        else:
            continue
        if max(len(names), longest) > MOST_ITEMS:
            return True
    return most_compared is not None and longest * values > most_compared + longest * _MOST_BESIDE
