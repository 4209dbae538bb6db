"""Comparisons, compiled.

In:    a `Comparison`.
Out:   a test over the values found: none, one, or several, of which one has to pass.
Never: an exception for a value of another type: that one just does not pass.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import re2

from shared.project.access.policies import Comparison

Test = Callable[[Sequence[Any]], bool]
_MAX_PATTERN_BYTES = 1 << 20


class BadPattern(ValueError):
    """Not a regular expression that RE2 takes."""


def compile_comparison(comparison: Comparison, *, texts: bool, names: Collection[str] | None = None) -> Test:
    """`texts`: the values are texts (headers, query), so `is: 5` means the text 5. `names`: of the tests that are
    wanted, all of them when it is not said. Raises BadPattern."""
    tests = [make(expected, texts) for name, make in _MAKERS.items()
             if (names is None or name in names) and (expected := getattr(comparison, name)) is not None]
    if len(tests) == 1:
        return tests[0]
    return lambda values: all(test(values) for test in tests)


def listed(comparison: Comparison) -> tuple[frozenset[str], bool] | None:
    """Texts, and whether a value has to be one of them or none may be; None where something else is asked, too."""
    if len(comparison.tests()) != 1:
        return None
    for one, many, wanted in ((comparison.is_, comparison.in_, True), (comparison.is_not, comparison.not_in, False)):
        if one is not None or many is not None:
            return frozenset(_key(text, True) for text in (many or (one,))), wanted
    return None


def compile_pattern(pattern: str) -> Any:
    """Raises BadPattern."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PATTERN_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error as exc:
        reason = exc.args[0].decode(errors="replace") if isinstance(exc.args[0], bytes) else str(exc)
        raise BadPattern(f"not a regular expression that RE2 takes: {reason}") from None


def _is(expected: Any, texts: bool) -> Test:
    known = _key(expected, texts)
    return lambda values: any(_key(value, texts) == known for value in values)


def _in(expected: Sequence[Any], texts: bool) -> Test:
    known = frozenset(_key(one, texts) for one in expected)
    return lambda values: any(_key(value, texts) in known for value in values)


def _not(make: Callable[[Any, bool], Test]) -> Callable[[Any, bool], Test]:
    def negated(expected: Any, texts: bool) -> Test:
        test = make(expected, texts)
        return lambda values: not test(values)
    return negated


def _matches(expected: str, _: bool) -> Test:
    search = compile_pattern(expected).search
    return lambda values: any(isinstance(value, str) and search(value) is not None for value in values)


def _starts_with(expected: str, _: bool) -> Test:
    return lambda values: any(isinstance(value, str) and value.startswith(expected) for value in values)


def _exists(expected: bool, _: bool) -> Test:
    return lambda values: bool(values) is expected


def _order(holds: Callable[[float, float], bool]) -> Callable[[float, bool], Test]:
    def make(bound: float, _: bool) -> Test:
        return lambda values: any((number := _number(value)) is not None and holds(number, bound) for value in values)
    return make


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return number if number == number else None


def text_of(value: Any) -> str:
    """What a text is compared with."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key(value: Any, texts: bool) -> Any:
    """What makes two values the same: for texts their spelling; in JSON, 1 is 1.0 but not true."""
    if texts:
        return text_of(value)
    return (isinstance(value, bool), value) if isinstance(value, bool | int | float | str | None) else None


_MAKERS: dict[str, Callable[[Any, bool], Test]] = {
    "is_": _is, "is_not": _not(_is), "in_": _in, "not_in": _not(_in), "matches": _matches,
    "starts_with": _starts_with, "exists": _exists, "less": _order(lambda number, bound: number < bound),
    "at_most": _order(lambda number, bound: number <= bound), "more": _order(lambda number, bound: number > bound),
    "at_least": _order(lambda number, bound: number >= bound)}
# tests that a value fails by being what it may not be, and the others
DENYING = frozenset({"is_not", "not_in"})
SAYING = frozenset(_MAKERS) - DENYING
