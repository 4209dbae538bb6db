"""JSONata between `{%` and `%}` in any value of a workflow.

In:    a JSON value, once; then a scope per execution.
Out:   `Template`: compiled once, rendered many times.
Never: a change of type on the way: a text that is one whole expression gives what the expression gives.

Scope: the names of `SCOPE`; trigger has {body, query, path, headers, method, client, ip}.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from jlens import Expression, JlensError

from shared.errors import WorkflowFailed
from shared.project.crowds import LONG, MOST_ITEMS, TOO_MANY, crowd_in
from shared.project.plain_paths import UNSURE, lookup, place_of, with_integers
from shared.project.written import to_json

Scope = Mapping[str, Any]
Render = Callable[[Scope], Any]
_EXPRESSION = re.compile(r"\{%(.*?)%\}", re.DOTALL)
SCOPE = ("trigger", "steps", "errors", "loop", "config", "execution")
# what may give something else each time: `$toMillis` takes a time without a date for one of today, and `$eval` may call
# any of them
_VOLATILE = re.compile(r"\$(?:now|millis|random|shuffle|toMillis|eval)\b")


@dataclass(slots=True)
class Bounds:
    """Of one evaluation, in the whole process; a workflow that needs more should do less in one expression.

    `turn_ms`: so long it may keep everything else in the process from going on; 0: as long as it may take.
    """

    timeout_ms: int = 1_000
    turn_ms: int = 0
    max_depth: int = 200
    max_bytes: int = 2_000_000


# set once, where the process is put together
BOUNDS = Bounds()
# what the library says when a bound is hit: the kind of error, and the setting
_OUT_OF_TIME, _ARRAY = "D1012", "An array"
_HIT = {_OUT_OF_TIME: ("expression-timeout", "WEIR_EXECUTOR_EXPRESSION_TIMEOUT_MS"),
        "D1011": ("expression-too-deep", "WEIR_EXECUTOR_EXPRESSION_MAX_DEPTH"),
        "U1001": ("expression-too-large", "WEIR_EXECUTOR_EXPRESSION_MAX_BYTES")}


# what whoever writes JavaScript takes for an operator, and how JSONata says it
_OF_OTHERS = {"!==": "!=", "===": "=", "==": "=", "&&": "and", "||": "or", "=>": "function($x) { ... }",
              "!": "$not(...)"}

# so often an expression that took longer than a turn is not tried within one
_SLOW_TIMES = 100


class TooLong(Exception):  # nothing is wrong: there is nothing outside that could be done twice
    """What is done at once takes longer than a turn: it is done anew, in another way."""

    harmless = True


class _Thread(threading.local):
    """`aside`: nobody else waits for what this thread does."""

    aside = False


_thread = _Thread()


@contextmanager
def aside() -> Iterator[None]:
    """In a thread of which nobody else waits for a turn: expressions take the time that they may take, and other
    threads go on meanwhile."""
    _thread.aside = True
    try:
        yield
    finally:
        _thread.aside = False


class BadExpression(ValueError):
    """An expression that does not compile; `position` is a character offset in its text, or None."""

    def __init__(self, text: str, message: str, position: int | None) -> None:
        """`text` is the expression without its braces."""
        super().__init__(message)
        self.text, self.position = text, position


class Template:
    """A value with its expressions compiled."""

    __slots__ = ("constant", "render", "volatile")

    def __init__(self, render: Render, *, constant: bool, volatile: bool) -> None:
        """`constant`: no expression stands in it; `volatile`: it may give something else each time, of one scope."""
        self.render, self.constant, self.volatile = render, constant, volatile

    def holds(self, scope: Scope) -> bool:
        """Whether it gives what JSONata's `$boolean` takes for true."""
        return _truth(self.render(scope))


def expressions_in(value: Any) -> list[str]:
    """All expressions of a value, depth first."""
    if isinstance(value, str):
        return [found.strip() for found in _EXPRESSION.findall(value)]
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in expressions_in(item)]
    if isinstance(value, list | tuple):
        return [found for item in value for found in expressions_in(item)]
    return []


def outside_of_expressions(text: str) -> str:
    """What stands beside the expressions of a text."""
    return _EXPRESSION.sub("", text)


class Names(NamedTuple):
    """What an expression reads. `scope`: by name its members, and theirs; what is read whole is True, what is only
    asked for is empty; no name is told when it may read all of them. `unbound`: what it reads as `$name`, and neither
    JSONata nor the expression gives.
    """

    scope: Mapping[str, Any]
    unbound: frozenset[str]


def names_in(text: str) -> Names:
    """Of an expression that compiles."""
    reads: Any = Expression(text).reads()
    scope = reads.get("input")
    return Names(scope if isinstance(scope, dict) else {}, frozenset(reads["bindings"]))


def compile_value(value: Any) -> Template:
    """Compile a value. Raises BadExpression."""
    expressions = expressions_in(value)
    volatile = any(_VOLATILE.search(text) for text in expressions)
    return Template(_renderer(value, bool(expressions)), constant=not expressions, volatile=volatile)


def is_one_expression(text: str) -> bool:
    """Whether a text is one expression as a whole; anything beside it makes it a text with expressions inside."""
    return text.count("{%") == 1 and _EXPRESSION.fullmatch(text.strip()) is not None


def compile_condition(text: str) -> Template:
    """Compile the value of `if`: an expression, with or without its braces. Raises BadExpression.

    A text around expressions nearly always holds. Validation refuses it; a version that is in force may have one.
    """
    return compile_value(text if _EXPRESSION.search(text) else f"{{% {text} %}}")


def _renderer(value: Any, has_expressions: bool) -> Render:
    if not has_expressions:
        return lambda scope: value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return _object({name: compile_value(item).render for name, item in value.items()})
    return _array([compile_value(item).render for item in value])


def _object(members: Mapping[str, Render]) -> Render:
    return lambda scope: {name: render(scope) for name, render in members.items()}


def _array(items: list[Render]) -> Render:
    return lambda scope: [render(scope) for render in items]


def _text(text: str) -> Render:
    if is_one_expression(text):
        return _evaluation(text.strip()[2:-2])
    parts: list[str | Render] = []
    end = 0
    for found in _EXPRESSION.finditer(text):
        parts += [text[end:found.start()], _evaluation(found[1])]
        end = found.end()
    parts.append(text[end:])
    return lambda scope: "".join(part if isinstance(part, str) else as_text(part(scope)) for part in parts)


def _evaluation(source: str) -> Render:
    source = source.strip()
    try:
        compiled = Expression(source)
    except (JlensError, UnicodeEncodeError) as exc:
        position = getattr(exc, "position", None)
        raise BadExpression(source, f"{exc}{_meant(source, position)}", position) from exc

    plain, place, crowd = lookup(source), place_of(source), crowd_in(source, compiled)
    engine = _Engine(source, compiled, None if crowd is None else MOST_ITEMS)

    def evaluate(scope: Scope) -> Any:
        if plain is not None and (found := plain(scope, BOUNDS.max_bytes)) is not UNSURE:
            return found
        if crowd is not None and (much := crowd(scope)) > LONG:
            if much > 1:
                raise WorkflowFailed(f"expression {{% {source[:200]} %}}: {TOO_MANY}", kind="expression-too-large")
            if _in_turns():
                raise TooLong
        made = engine.evaluated(scope)
        return made if place is None else with_integers(made, place(scope))

    return evaluate


def _meant(source: str, position: int | None) -> str:
    """A hint, where the compiler has stopped behind an operator of another language."""
    before = "" if position is None else source[max(0, position - 3):position + 1]
    found = next((one for one in _OF_OTHERS if one in before), None)
    return "" if found is None else f"; for `{found}` JSONata has `{_OF_OTHERS[found]}`"


def _in_turns() -> bool:
    """Whether others wait for their turns meanwhile."""
    return 0 < BOUNDS.turn_ms < BOUNDS.timeout_ms and not _thread.aside


class _Engine:
    """JSONata's, with bounds. It keeps all other threads waiting, but where it is given text."""

    __slots__ = ("_compiled", "_most_items", "_slow", "_source")

    def __init__(self, source: str, compiled: Expression, most_items: int | None) -> None:
        self._source, self._compiled, self._most_items, self._slow = source, compiled, most_items, 0

    def evaluated(self, scope: Scope) -> Any:
        """Raises WorkflowFailed; TooLong, where others wait for their turns, and it does not end within one."""
        in_turns, time_ms, most_items = _in_turns(), BOUNDS.timeout_ms, self._most_items
        if in_turns:
            if self._slow:
                self._slow -= 1
                raise TooLong
            time_ms = BOUNDS.turn_ms
            # what it makes itself, as in `$distinct([1..9999])`, is not seen before
            most_items = most_items and int(LONG * most_items)
        try:
            return (self._aside if _thread.aside else self._compiled.evaluate)(
                scope, timeout=time_ms / 1000, max_depth=BOUNDS.max_depth, max_result_size=BOUNDS.max_bytes,
                max_array_length=most_items)
        except JlensError as exc:
            if in_turns and (exc.code == _OUT_OF_TIME or (most_items and _ARRAY in str(exc))):
                self._slow = _SLOW_TIMES
                raise TooLong from None
            kind, setting = _HIT.get(exc.code or "", ("", ""))
            # of an array no setting tells how long it may be
            hint = f" ({setting})" if setting and _ARRAY not in str(exc) else ""
            raise WorkflowFailed(f"expression {{% {self._source[:200]} %}}: {exc}{hint}", kind=kind) from exc

    def _aside(self, scope: Scope, **bounds: Any) -> Any:
        try:
            text = orjson.dumps(scope).decode()
        except orjson.JSONEncodeError:
            # half of a character, a number beyond 64 bits, a body that is nested too deep
            return self._compiled.evaluate(scope, **bounds)
        made = self._compiled.evaluate_json(text, **bounds)
        return None if made is None else orjson.loads(made)


def _truth(value: Any) -> bool:
    """An array is true when one of its items is; nothing, null, 0 and what is empty are not."""
    if not isinstance(value, list):
        return bool(value)
    # no recursion: a caller's body may be nested deeper than the interpreter goes
    left = [value]
    while left:
        for item in left.pop():
            if isinstance(item, list):
                left.append(item)
            elif item:
                return True
    return False


def as_text(value: Any) -> str:
    """A value inside a text: null is nothing, what is no text is JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else to_json(value).decode()
