"""Expressions that are nothing but names with dots between them, looked up without the engine of JSONata.

In:    the text of an expression, once; then a scope.
Out:   what JSONata would give, where that is plain to see; `UNSURE` where it has to be asked.
Never: a rule of JSONata told again: arrays on the way, numbers that it writes in another way, texts that may be no
UTF-8, what may be larger than allowed are all left to it. A whole number that it rounds, as one of 64 bits beyond 2^53,
is kept as it was: nothing is computed with it.

Most expressions of workflows are such paths.

Pure.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from shared.project.written import LARGEST, SMALLEST

UNSURE: Any = object()
# what stands in a scope
Place = Callable[[Mapping[str, Any]], Any]
# the scope, and how many bytes of JSON the result may have
Lookup = Callable[[Mapping[str, Any], int], Any]
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_NAMES, _PLACE = rf"{_NAME}(?:\.{_NAME})+", re.compile(rf"{_NAME}(?:\.{_NAME})*")
_PATH, _EXISTS = re.compile(_NAMES), re.compile(rf"\$exists\(\s*({_NAMES})\s*\)")
_WORDS = frozenset({"and", "or", "in", "true", "false", "null", "function"})
_LARGEST_INTEGER = 2**53
_MOST_MEMBERS = 8
# bytes of JSON that a character of ASCII takes at the most; those of a number, or of quotes, a colon and a comma
_CHARACTER_BYTES, _BYTES = 6, 24
_ENDLESS = 2**63


def lookup(source: str) -> Lookup | None:
    """How to look it up; None for what is more than a path, or `$exists` of one."""
    asked = _EXISTS.fullmatch(source)
    text = source if asked is None else asked[1]
    path = tuple(text.split("."))
    if _PATH.fullmatch(text) is None or not _WORDS.isdisjoint(path):
        return None
    return _value_at(path) if asked is None else _existence_of(path)


def place_of(source: str) -> Place | None:
    """Where a path, or a single name, leads to by objects alone; None for what is more than that."""
    path = tuple(source.split("."))
    return _at(path) if _PLACE.fullmatch(source) is not None and _WORDS.isdisjoint(path) else None


def with_integers(made: Any, place: Any) -> Any:
    """What JSONata made of what stands in a place, with the whole numbers that it has rounded as they stand there."""
    try:
        return made if made == place else _kept(made, place)
    except RecursionError:
        # nested as deep as Python follows nothing
        return made


def _kept(made: Any, place: Any) -> Any:
    if type(place) is int:
        return place if abs(place) > _LARGEST_INTEGER and SMALLEST <= place <= LARGEST else made
    if type(place) is dict and type(made) is dict:
        return {name: _kept(value, place.get(name)) for name, value in made.items()}
    if type(place) is list and type(made) is list and len(place) == len(made):
        return [_kept(one, other) for one, other in zip(made, place, strict=True)]
    return made


def _at(path: tuple[str, ...]) -> Place:
    def value(scope: Mapping[str, Any]) -> Any:
        here: Any = scope
        for name in path:
            if type(here) is not dict:
                return None if here is None else UNSURE
            here = here.get(name)
        return here
    return value


def _value_at(path: tuple[str, ...]) -> Lookup:
    at = _at(path)

    def value(scope: Mapping[str, Any], limit: int) -> Any:
        here = at(scope)
        if type(here) is dict:
            return _copy(here, limit)
        return here if _size(here) <= limit else UNSURE
    return value


def _existence_of(path: tuple[str, ...]) -> Lookup:
    *above, last = path

    def existence(scope: Mapping[str, Any], _: int) -> Any:
        here: Any = scope
        for name in above:
            if type(here) is not dict:
                return False if here is None else UNSURE
            here = here.get(name)
        if type(here) is not dict:
            return False if here is None else UNSURE
        return last in here
    return existence


def _copy(found: dict[str, Any], limit: int) -> Any:
    """An object of a few plain values."""
    if len(found) > _MOST_MEMBERS:
        return UNSURE
    size = _BYTES
    for name, value in found.items():
        size += _size(name) + _size(value)
    return found.copy() if size <= limit else UNSURE


def _size(value: Any) -> int:
    """Bytes as JSON, at the most; endless for what JSONata has to look at."""
    kind = type(value)
    if kind is str:
        return _BYTES + _CHARACTER_BYTES * len(value) if value.isascii() else _ENDLESS
    if value is None or kind is bool or (kind is int and SMALLEST <= value <= LARGEST):
        return _BYTES
    return _ENDLESS
