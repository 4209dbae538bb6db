"""CEL over the facts of a call.

In:    an expression.
Out:   a function of `Facts`, checked for types when it is compiled.
Never: more than the library's iteration budget spent on one evaluation; a loop that looks at too much (`cel_work.py`).

Variables: client, roles, authenticated, operation, method, source, ip, header (map of text), query (map of lists of
text), path (map of text), claim, body (JSON; an empty map when there is none, null when it is not JSON), size (bytes),
now (timestamp).
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cel_expr_python import cel

from shared.project.access.cel_work import Path, Repeated, is_much, longest
from shared.project.access.facts import MISSING, Facts
from shared.project.access.spelled import Spelled, arguments, compared, loops, members, receivers, variables

_T = cel.Type
_TEXT_MAP = _T.Map(_T.STRING, _T.STRING)
_READ: dict[str, tuple[cel.Type, Callable[[Facts], Any]]] = {
    "client": (_T.STRING, lambda facts: facts.client),
    "roles": (_T.List(_T.STRING), lambda facts: sorted(facts.roles)),
    "authenticated": (_T.BOOL, lambda facts: facts.authenticated),
    "operation": (_T.STRING, lambda facts: facts.operation),
    "method": (_T.STRING, lambda facts: facts.method),
    "source": (_T.STRING, lambda facts: facts.source),
    "ip": (_T.STRING, lambda facts: facts.ip),
    "header": (_TEXT_MAP, lambda facts: dict(facts.headers)),
    "query": (_T.Map(_T.STRING, _T.List(_T.STRING)), lambda facts: dict(facts.query)),
    "path": (_TEXT_MAP, lambda facts: dict(facts.path)),
    "claim": (_T.Map(_T.STRING, _T.DYN), lambda facts: dict(facts.claims)),
    # without a body nothing is in it; one that is not JSON may hold anything
    "body": (_T.DYN, lambda facts: facts.document if facts.document is not MISSING else None if facts.body else {}),
    "size": (_T.INT, lambda facts: len(facts.body)),
    "now": (_T.TIMESTAMP, lambda facts: datetime.fromtimestamp(facts.now_ms / 1000, UTC)),
}
# bytes of a body from which on it costs more than all other facts together
_LARGE = 1_000
# the library copies the list that these make with each item that it adds: 10,000 of them take it 1.5 s
_MAKE_LISTS, _MOST_ITEMS = ("map", "filter"), 1_000
_LOOPS = ("all", "exists", "exists_one", *_MAKE_LISTS)
_WHERE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
# functions that take a text of some form, each called with nothing but that text
_EPOCH = 'timestamp("1970-01-01T00:00:00Z")'
_PROBES = {"matches": '"".matches({})', "timestamp": "timestamp({})", "duration": "duration({})"} | {
    name: f"{_EPOCH}.{name}({{}})" for name in (
        "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds",
        "getMinutes", "getMonth", "getSeconds")}
_NOBODY = Facts(operation="", method="", now_ms=0)
# more than any limit: what costs more is not let in for less
_MAX_COST = 10**12 + 1


class BadCel(ValueError):
    """Not a CEL expression of the type that is asked for."""


class Undecided(Exception):
    """An expression that has no value for this call: a key that is not there, a number divided by zero."""


def compile_condition(text: str) -> Callable[[Facts], bool]:
    """A condition; what it returns raises Undecided. Raises BadCel."""
    evaluate = _compile(text, (_T.BOOL, _T.DYN), "true or false")

    def holds(facts: Facts) -> bool:
        value = evaluate(facts)
        if not isinstance(value, bool):
            raise Undecided(f"`{text[:100]}` is neither true nor false: {str(value)[:200]}")
        return value
    return holds


def constant_condition(text: str) -> bool | None:
    """What holds for every call; None where that depends on the call.

    Asked when a project is validated, as `check_texts` is. Raises BadCel when it is neither true nor false.
    """
    if _reads(text):
        return None
    try:
        return compile_condition(text)(_NOBODY)
    except Undecided as exc:
        raise BadCel(str(exc)) from None


def compile_cost(text: str) -> Callable[[Facts], int]:
    """A cost; what it returns raises Undecided, and is never below zero. Raises BadCel."""
    evaluate = _cost(text)
    return lambda facts: min(max(evaluate(facts), 0), _MAX_COST)


def _cost(text: str) -> Callable[[Facts], int]:
    evaluate = _compile(text, (_T.INT, _T.UINT, _T.DYN), "an integer")

    def cost(facts: Facts) -> int:
        value = evaluate(facts)
        # JSON has one kind of number: 60.0 and 6e1 are 60
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Undecided(f"`{text[:100]}` is no integer: {str(value)[:200]}")
        return value
    return cost


def constant_cost(text: str) -> int | None:
    """What every call costs; None where that depends on the call.

    Asked when a project is validated, as `check_texts` is. Raises BadCel when it is no cost.
    """
    if _reads(text):
        return None
    try:
        constant = _cost(text)(_NOBODY)
    except Undecided as exc:
        raise BadCel(str(exc)) from None
    if constant < 0:
        raise BadCel(f"a cost is not negative, and this one is {constant}")
    return constant


def check_texts(text: str) -> None:
    """A pattern that is none or a zone that does not exist leaves an expression without a value for every call.

    Asked when a project is validated, of an expression that compiles: versions in force may have been there before the
    question. Raises BadCel.
    """
    for function, spelled in arguments(text):
        if function in _PROBES:
            value = _value(_PROBES[function].format(spelled.text))
            if value.type() == _T.ERROR:
                reason = str(value.value()).partition(": ")[2][:200]
                raise BadCel(f"`{function}` cannot take {spelled.text[:100]}: {reason} "
                             f"(at {spelled.line}:{spelled.column} of the expression)")


def headers_in(text: str) -> list[str]:
    """Headers that an expression names, as it spells them; none when it does not compile."""
    return [spelled.text if spelled.kind == "word" else _spelled_out(spelled)
            for spelled in (members(text, "header") if _compiles(text) else ())]


def names_in(text: str) -> list[tuple[str, str]]:
    """What an expression compares `operation`, `method` and `source` with, and the roles that it looks for, each with
    the variable; none when it does not compile."""
    if not _compiles(text):
        return []
    return [(of, _spelled_out(spelled)) for of in ("operation", "method", "source") for spelled in compared(text, of)
            ] + [("roles", _spelled_out(spelled)) for spelled in members(text, "roles") if spelled.kind == "text"]


def _spelled_out(constant: Spelled) -> str:
    return str(_value(constant.text).value())


def _compiles(text: str) -> bool:
    try:
        _environment().compile(text)
    except RuntimeError:
        return False
    return True


@cache
def _environment() -> cel.Env:
    return cel.NewEnv(variables={name: kind for name, (kind, _) in _READ.items()})


def _compile(text: str, kinds: tuple[cel.Type, ...], what: str) -> Callable[[Facts], Any]:
    try:
        expression = _environment().compile(text)
    except RuntimeError as exc:
        found = _WHERE.search(str(exc))
        known = f"; an expression knows {', '.join(sorted(_READ))}" if "undeclared reference" in str(exc) else ""
        raise BadCel(f"not CEL: {found[3]} (at {found[1]}:{found[2]} of the expression){known}" if found
                     else f"not CEL: {str(exc)[:300]}") from None
    kind = expression.return_type()
    if kind not in kinds:
        raise BadCel(f"the expression gives {kind.name().lower()}, and {what} is asked for")
    # turning facts into CEL values is most of the cost
    reads = _reads(text)
    reads_body = any(name == "body" for name, _ in reads)
    made_of, repeats = _made_of(text), _repeats(text)

    def evaluate(facts: Facts) -> Any:
        try:
            values = {name: read(facts) for name, read in reads}
            if repeats and is_much(values, repeats):
                raise Undecided(f"`{text[:100]}` looks at too much in each pass of a loop: shorten what it reads there")
            if any(longest(values, path) > _MOST_ITEMS for path in made_of):
                raise Undecided(f"`{text[:100]}` makes a list of what has over {_MOST_ITEMS} items")
            if reads_body and len(facts.body) > _LARGE:
                return expression.eval(_bound(facts)).value()
            return expression.eval(data=values).value()
        except RuntimeError as exc:
            raise Undecided(f"`{text[:100]}` has no value: {str(exc)[:200]}") from None
    return evaluate


def _made_of(text: str) -> list[Path | None]:
    """Paths of what lists are made of; None for what may be anything that the expression reads."""
    return [_of_facts(path) for path in receivers(text, _MAKE_LISTS)]


def _of_facts(path: Sequence[Spelled] | None) -> Path | None:
    return None if path is None or path[0].text not in _READ else [_member(spelled) for spelled in path]


def _member(spelled: Spelled) -> str | int:
    if spelled.kind == "text":
        return _spelled_out(spelled)
    return int(spelled.text) if spelled.kind == "number" else spelled.text


def _repeats(text: str) -> list[Repeated]:
    found = []
    for loop in loops(text, _LOOPS):
        around = {outer.each: _of_facts(outer.over) for outer in loop.inside}
        reads = [[_member(spelled) for spelled in path] for path in loop.reads]
        of_facts = [path for path in reads if path[0] in _READ and path[0] not in around]
        items = [(around[str(path[0])], path[1:]) for path in reads if path[0] in around]
        items += [(path, []) for path in map(_of_facts, loop.reads_one_of) if path and path[0] not in around]
        items += [(around[path[0].text], [_member(spelled) for spelled in path[1:]])
                  for path in loop.reads_one_of if path[0].text in around]
        if of_facts or items:
            found.append(Repeated([_of_facts(loop.over), *around.values()], of_facts, items))
    return found


def _bound(facts: Facts) -> cel.Activation:
    """All facts, for all expressions of a call: what one of them reads is turned into CEL values once."""
    if facts.bound is None:
        facts.bound = _environment().Activation({name: read(facts) for name, (_, read) in _READ.items()})
    return facts.bound


def _value(constant: str) -> cel.Value:
    return _environment().compile(constant).eval(data={})


def _reads(text: str) -> list[tuple[str, Callable[[Facts], Any]]]:
    names = variables(text)
    return [(name, read) for name, (_, read) in _READ.items() if name in names]
