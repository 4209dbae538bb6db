"""Rules that hold for no call, whatever it is.

In:    policies, their places.
Out:   problems with their places.
Never: rules that do not compile.

Asked when a project is validated: versions in force may have been there before the questions.
"""

import re
from collections.abc import Iterator

from shared.names import headers as H
from shared.project.access.cel import BadCel, constant_condition
from shared.project.access.comparison import text_of
from shared.project.access.policies import Comparison, Policy, Rule
from shared.project.places import Key, Problem, Source

_HEADER = re.compile(f"{H.TCHAR}+")


# kinds of rules that look at texts
_TEXTS = frozenset({"header", "query", "role", "client", "method"})


def check_together(policy: Policy, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    """Rules of a policy that exclude each other; the later one is told."""
    wanted: bool | None = None
    for index, rule in enumerate(policy.rules):
        if rule.authenticated is None:
            continue
        if wanted is not None and rule.authenticated is not wanted:
            yield source.problem((*path, "rules", index, "authenticated"), "never", "this can never hold: a rule "
                                 "before it asks for the opposite, and all have to hold")
        wanted = rule.authenticated


def check_rule(rule: Rule, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    """What is wrong with a rule that compiles. `path`: of the rule."""
    if rule.when is not None:
        try:
            constant = constant_condition(rule.when)
        except BadCel as exc:
            yield source.problem((*path, "when"), "never", str(exc))
        else:
            if constant is False:
                yield source.problem((*path, "when"), "never", "this can never hold: it is false for every call")
    if rule.header is not None and not _HEADER.fullmatch(rule.header.name):
        yield source.problem((*path, "header", "name"), "never", f"no header is called {rule.header.name!r}")
    if rule.size is not None and (not_counted := _of_texts(rule.size)):
        yield source.problem((*path, "size"), "never", f"{' and '.join(sorted(not_counted))} cannot be asked of a size"
                             ", which is a number of bytes: compare it with numbers, by <, <=, >, >=, is, in")
    setting = getattr(rule, rule.kind)
    if isinstance(setting, Comparison):
        yield from _spelled_otherwise(setting, rule.kind, source, path)
    if isinstance(setting, Comparison) and _excludes_itself(setting):
        yield source.problem((*path, rule.kind), "never", "this can never hold: all that it asks for it excludes")


def _of_texts(comparison: Comparison) -> set[str]:
    """Tests that no number passes, or each one does."""
    values = {"is": (comparison.is_,), "is_not": (comparison.is_not,), "in": comparison.in_ or (),
              "not_in": comparison.not_in or ()}
    return comparison.tests() & {"matches", "starts_with", "exists", *(
        name for name, wanted in values.items() if any(isinstance(value, str | bool) for value in wanted))}


def _spelled_otherwise(comparison: Comparison, kind: str, source: Source, path: tuple[Key, ...]) -> Iterator[Problem]:
    """Numbers that a text is compared with, and that the file spells as no such text ever is: 2.10 is 2.1, 007 is 7."""
    if kind not in _TEXTS:
        return
    for test, values in (("is", (comparison.is_,)), ("is_not", (comparison.is_not,)), ("in", comparison.in_ or ()),
                         ("not_in", comparison.not_in or ())):
        for index, value in enumerate(values):
            # alone, in a list, or under the name of the test
            for place in ((), (index,), (test,), (test, index)):
                written = source.written.get((*path, kind, *place))
                if value is not None and written is not None and written != text_of(value):
                    yield source.problem((*path, kind, *place), "rule", f"{written} would be compared as "
                                         f"{text_of(value)}; in quotes, \"{written}\", it is a text as it stands here")


def _excludes_itself(comparison: Comparison) -> bool:
    """Of several values one has to be among those that are asked for, and none among the others."""
    excluded = {*map(_key, comparison.not_in or ()), *([] if comparison.is_not is None else [_key(comparison.is_not)])}
    wanted = [comparison.in_ or (), () if comparison.is_ is None else (comparison.is_,)]
    return any(values and {_key(value) for value in values} <= excluded for values in wanted)


def _key(value: bool | int | float | str) -> tuple[bool, bool | int | float | str]:
    # in Python true is 1
    return isinstance(value, bool), value
