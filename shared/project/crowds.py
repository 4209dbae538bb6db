"""What the engine of JSONata does in a time that grows with the square of what it is given, and without a look at the
clock: `$distinct`, and objects of many names (`$merge`, `$keys`, `$sift`, grouping).

In:    an expression that compiles; then a scope.
Out:   whether it may do any of that; whether what it reads is too much for it.
Never: a word about other expressions: they end by their time.

Pure.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from jlens import Expression

# items of one array, or names of all objects: within the time that an expression has, or not much longer
MOST_ITEMS = 10_000
TOO_MANY = (f"it groups, or calls $distinct, $merge, $keys, $sift or $eval, and reads an array of more than "
            f"{MOST_ITEMS} items, or more different names")
# `$eval` may call any of them
_SQUARE = re.compile(r"\$(?:distinct|merge|keys|sift|eval)\b")
# a brace behind a value groups it; one behind the head of a function does not
_HEAD = re.compile(r"(?:function|λ)\s*\([^)]*\)\s*(?:<[^{]*>\s*)?")
_GROUPING = re.compile(r"[\w)\]}`'\"*$%/]\s*\{")


def crowd_in(source: str, compiled: Expression) -> Callable[[Mapping[str, Any]], bool] | None:
    """What tells whether a scope is too much for it; None for an expression that does nothing of that kind."""
    if _SQUARE.search(source) is None and _GROUPING.search(_HEAD.sub(",", source)) is None:
        return None
    read: Any = compiled.reads().get("input")
    return lambda scope: _is_crowded(_reached(scope, read))


def _reached(value: Any, read: Any) -> list[Any]:
    """The parts that are read; whole where an array stands on the way."""
    if not isinstance(read, dict) or not read or not isinstance(value, dict):
        return [value]
    return [part for name, inner in read.items() if name in value for part in _reached(value[name], inner)]


def _is_crowded(left: list[Any]) -> bool:
    names: set[str] = set()
    while left:
        value = left.pop()
        if isinstance(value, dict):
            names.update(value)
            left += value.values()
        elif isinstance(value, list):
            left += value
        else:
            continue
        if len(names) > MOST_ITEMS or (isinstance(value, list) and len(value) > MOST_ITEMS):
            return True
    return False
