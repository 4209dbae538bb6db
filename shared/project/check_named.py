"""Names in policies that nothing has: a slip in one leaves a rule that holds for no call, or for every one.

In:    policies, what their project has, their places.
Out:   problems with their places, and what there is.
Never: names of clients, which are also made one by one; a rule that does not compile.

Asked when a project is validated: versions in force may have been there before the questions.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import get_args

from shared.project.access.cel import headers_in, names_in
from shared.project.access.policies import Comparison, Policy
from shared.project.model import Access
from shared.project.modes import RESULTS
from shared.project.places import Key, Problem, Source
from shared.project.steps.work import Method

METHODS: Sequence[str] = get_args(Method)
SOURCES = ("edge", "internal")
_WHAT = {"roles": "role", "method": "method", "operation": "operation", "source": "source"}


def named(comparison: Comparison | None) -> list[str]:
    """The values that a comparison asks for, or excludes, by name."""
    if comparison is None:
        return []
    return [str(value) for value in (*(comparison.in_ or ()), *(comparison.not_in or ()), comparison.is_,
                                     comparison.is_not) if value is not None]


def check_expressions(policy: Policy, access: Access, operations: Collection[str], source: Source,
                      path: tuple[Key, ...]) -> Iterator[Problem]:
    """Names that stand in the CEL of a policy."""
    known = {"roles": access.roles, "method": METHODS, "operation": (*operations, RESULTS.name), "source": SOURCES}
    for place, text in _expressions(policy):
        for of, name in names_in(text):
            if name not in known[of]:
                there = "none of that name" if of == "operation" else ", ".join(known[of]) or "none"
                yield source.problem((*path, *place), "dangling", f"there is no {_WHAT[of]} {name!r} that `{of}` could "
                                                                  f"say; there is {there}")
        for name in headers_in(text):
            if name != name.lower():
                yield source.problem((*path, *place), "never", f"no call has a header {name!r} here: names of headers "
                                                               f"are in lower case in CEL, {name.lower()!r}")


def _expressions(policy: Policy) -> Iterator[tuple[tuple[Key, ...], str]]:
    for index, rule in enumerate(policy.rules):
        if rule.when is not None:
            yield ("rules", index, "when"), rule.when
    for index, limit in enumerate(policy.limits):
        if isinstance(limit.cost, str):
            yield ("limits", index, "cost"), limit.cost
