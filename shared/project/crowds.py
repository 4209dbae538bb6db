"""What the engine of JSONata does in a time that grows with the square of what it is given, and without a look at the
clock: `$distinct`, and objects of many names (`$merge`, `$keys`, `$sift`, grouping).

In:    an expression that compiles; then a scope.
Out:   whether it may do any of that; how much what it reads is, of the most that it may be.
Never: a word about other expressions: they end by their time.

Pure.
"""

import math
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
# of the most that may be read, what takes as long as a turn of everybody else
LONG = 0.2
TOO_MANY = (f"it groups, or calls $distinct, $merge, $keys, $sift or $eval, and reads an array of more than "
            f"{MOST_ITEMS} items, or more different names; or compares items of too many values")
# `$eval` may call any of them
_SQUARE, _COMPARING = re.compile(r"\$(?:distinct|merge|keys|sift|eval)\b"), re.compile(r"\$(?:distinct|eval)\b")
# a brace behind a value groups it; one behind the head of a function does not
_HEAD = re.compile(r"(?:function|λ)\s*\([^)]*\)\s*(?:<[^{]*>\s*)?")
_GROUPING = re.compile(r"[\w)\]}`'\"*$%/]\s*\{")


def crowd_in(source: str, compiled: Expression) -> Callable[[Mapping[str, Any]], float] | None:
    """What tells how much a scope is for it: 1 is the most. None for an expression that does nothing of that kind."""
    if _SQUARE.search(source) is None and _GROUPING.search(_HEAD.sub(",", source)) is None:
        return None
    read: Any = compiled.reads().get("input")
    compares = _COMPARING.search(source) is not None
    return lambda scope: _crowd(list(_reached(scope, read)), compares=compares)


def _reached(value: Any, read: Any) -> Iterator[Any]:
    """The parts that are read; an array on the way, too, as it stands when nothing of its items is told."""
    if not isinstance(read, dict) or not read:
        yield value
    elif isinstance(value, dict):
        for name in read.keys() & value.keys():
            yield from _reached(value[name], read[name])
    elif isinstance(value, list):
        yield [part for item in value for part in _reached(item, read)]


def _crowd(left: list[Any], *, compares: bool) -> float:
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
            break
    # what takes the square of a length is as much as that length
    compared = math.sqrt(longest * max(0, values - _MOST_BESIDE) / _MOST_COMPARED) if compares else 0
    return max(len(names) / MOST_ITEMS, longest / MOST_ITEMS, compared)
