"""Rules, compiled.

In:    a policy, and the lists of networks that its project names.
Out:   `CompiledPolicy`: predicates over `Facts`.
Never: I/O; an exception but `Undecided` when a rule is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.project.access.budgets import CompiledLimit, compile_limit
from shared.project.access.cel import BadCel, Undecided, compile_condition
from shared.project.access.comparison import DENYING, SAYING, BadPattern, Test, compile_comparison, listed
from shared.project.access.facts import MISSING, Facts, claim_pointer, packed, part_of, shown
from shared.project.access.networks import BadNetwork, Networks, network_of
from shared.project.access.policies import Addresses, At, Comparison, Named, Policy, Rule, Schedule
from shared.project.access.problems import BadRule
from shared.project.periods import BadZone, zone_of

Predicate = Callable[[Facts], bool]
Values = Callable[[Facts], Sequence[Any]]
NetworkLists = Mapping[str, Networks]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MAX_SHOWN = 100
# of a header that is a list: each is asked for, and callers choose how many they send
_MOST_MEMBERS = 500
# of a list in a body, as many as `all` and `exists` of an expression look at: 200,000 texts take one pattern 0.3 s
_MOST_ITEMS = 10_000


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """`saw` tells a person what the rule looked at."""

    kind: str
    holds: Predicate
    saw: Callable[[Facts], str]


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy, its rules and its limits."""

    policy: Policy
    rules: tuple[CompiledRule, ...]
    limits: tuple[CompiledLimit, ...] = ()

    def outcome(self, facts: Facts) -> bool | None:
        """Whether all rules hold; None where one of them is undecided, and the others hold."""
        undecided = False
        for rule in self.rules:
            try:
                if not rule.holds(facts):
                    return False
            except Undecided:
                undecided = True
        return None if undecided else True

    def holds(self, facts: Facts) -> bool:
        """Whether they do. What is undecided counts on the safe side: for a reject, against an accept."""
        outcome = self.outcome(facts)
        return self.policy.action == "reject" if outcome is None else outcome


def compile_policy(policy: Policy, lists: NetworkLists, project: str) -> CompiledPolicy:
    """`project`: its name, for the keys of amounts. Raises BadRule, its path beginning at the policy."""
    rules: list[CompiledRule] = []
    limits: list[CompiledLimit] = []
    for index, rule in enumerate(policy.rules):
        try:
            rules.append(compile_rule(rule, lists, rejects=policy.action == "reject"))
        except BadRule as exc:
            raise BadRule(str(exc), ("rules", index, *exc.path)) from None
    for index, limit in enumerate(policy.limits):
        try:
            compiled = compile_limit(limit, project, policy.name, index, enforced=policy.enforced)
        except BadRule as exc:
            raise BadRule(str(exc), ("limits", index, *exc.path)) from None
        limits.append(_apart(compiled, limits, index))
    return CompiledPolicy(policy, tuple(rules), tuple(limits))


def _apart(limit: CompiledLimit, others: Sequence[CompiledLimit], index: int) -> CompiledLimit:
    """Versions in force may have limits of one name from before that was refused; their amounts are their own."""
    if all(limit.where != other.where for other in others):
        return limit
    return replace(limit, where=f"{limit.where}{index + 1}:")


def compile_rule(rule: Rule, lists: NetworkLists, *, rejects: bool = False) -> CompiledRule:
    """`rejects`: whether the rule is of a policy that rejects. Raises BadRule."""
    kind, setting = rule.kind, getattr(rule, rule.kind)
    if isinstance(setting, bool):
        return CompiledRule(kind, lambda facts: facts.authenticated is setting,
                            lambda facts: "authenticated" if facts.authenticated else "no valid credentials")
    if isinstance(setting, str):
        return _when(setting)
    if isinstance(setting, Addresses):
        return CompiledRule(kind, _address(setting, lists), lambda facts: facts.ip or "no address")
    if isinstance(setting, Schedule):
        return _time(setting)
    return _compared(kind, setting, rejects=rejects)


def _when(text: str) -> CompiledRule:
    try:
        holds = compile_condition(text)
    except BadCel as exc:
        raise BadRule(str(exc), ("when",)) from None

    def saw(facts: Facts) -> str:
        try:
            return str(holds(facts)).lower()
        except Undecided as exc:
            return str(exc)
    return CompiledRule(f"when {text[:_MAX_SHOWN]}", holds, saw)


def _compared(kind: str, setting: Comparison, *, rejects: bool) -> CompiledRule:
    label, values, texts = _source(kind, setting)
    try:
        test = _listed(setting, rejects=rejects) if kind == "header" else compile_comparison(setting, texts=texts)
    except BadPattern as exc:
        raise BadRule(str(exc), (kind, "matches")) from None
    if isinstance(setting, At) and setting.tests() != {"exists"}:
        test = _bounded(test)
    return CompiledRule(label, _direct(kind, setting) or (lambda facts: test(values(facts))),
                        lambda facts: ", ".join(shown(value, _MAX_SHOWN) for value in values(facts)[:_MAX_SHOWN])
                        or "nothing")


def _bounded(test: Test) -> Test:
    """Of what stands in a body; callers choose how many items they send. Raises Undecided."""
    def holds(values: Sequence[Any]) -> bool:
        if len(values) > _MOST_ITEMS:
            raise Undecided(f"a list of more than {_MOST_ITEMS} items")
        return test(values)
    return holds


def _listed(setting: Comparison, *, rejects: bool) -> Test:
    """Of a header, which may be a list: members are looked at beside the whole where that is the safe side, so that
    nobody gets past a rule by sending a header twice. Raises BadPattern.

    For one that accepts it is undecided where the members make the difference: nobody is let in, and limits count.
    """
    says = compile_comparison(setting, texts=True, names=SAYING)
    denies = compile_comparison(setting, texts=True, names=DENYING)

    def holds(whole: Sequence[str]) -> bool:
        several = _with_members(whole)
        could_be = says(several) and denies(whole)
        if could_be and several is not whole and not rejects and not (says(whole) and denies(several)):
            raise Undecided("a list, of which a part says so")
        return could_be
    return holds


def _with_members(whole: Sequence[str]) -> Sequence[str]:
    """A header's value, and what stands between its commas (RFC 9110, 5.6.1). Raises Undecided."""
    if not whole or "," not in whole[0]:
        return whole
    [value] = whole
    if value.count(",") > _MOST_MEMBERS:
        raise Undecided(f"a list of more than {_MOST_MEMBERS} members")
    return [value, *filter(None, map(str.strip, value.split(",")))]


def _direct(kind: str, setting: Comparison) -> Predicate | None:
    """The questions that are asked most, without a list of values in between."""
    names = listed(setting) if kind == "role" else None
    if names is not None:
        texts, wanted = names
        return lambda facts: texts.isdisjoint(facts.roles) is not wanted
    if kind == "header" and isinstance(setting, Named) and setting.tests() == {"exists"}:
        key, expected = setting.name.lower(), setting.exists
        return lambda facts: (key in facts.headers) is expected
    return None


def _source(kind: str, setting: Comparison) -> tuple[str, Values, bool]:
    """What a rule is called, where its values come from, and whether they are texts."""
    if isinstance(setting, At):
        pointer = setting.at
        return f"body {pointer}", lambda facts: _spread(part_of(facts.document, pointer)), False
    if isinstance(setting, Named):
        name = setting.name
        if kind == "claim":
            pointer = claim_pointer(name)
            return f"claim {name}", lambda facts: _spread(part_of(facts.claims, pointer)), False
        if kind == "header":
            key = name.lower()
            return f"header {key}", lambda facts: (facts.headers[key],) if key in facts.headers else (), True
        return f"query {name}", lambda facts: facts.query.get(name, ()), True
    return kind, _PLAIN[kind], kind != "size"


_PLAIN: dict[str, Values] = {
    "role": lambda facts: sorted(facts.roles), "client": lambda facts: (facts.client,) if facts.client else (),
    "method": lambda facts: (facts.method,), "size": lambda facts: (len(facts.body),)}


def _spread(value: Any) -> Sequence[Any]:
    """A list stands for its items."""
    if value is MISSING:
        return ()
    return value if isinstance(value, list) else (value,)


def _address(setting: Addresses, lists: NetworkLists) -> Predicate:
    inside = [] if setting.in_ is None else _networks(setting.in_, lists, ("ip", "in"))
    outside = [] if setting.not_in is None else _networks(setting.not_in, lists, ("ip", "not_in"))
    if len(inside) == 1 and not outside:
        only = inside[0].holds
        return lambda facts: only(packed(facts.ip))

    def holds(facts: Facts) -> bool:
        address = facts.address
        return ((not inside or any(networks.holds(address) for networks in inside))
                and not any(networks.holds(address) for networks in outside))
    return holds


def _networks(names: Sequence[str], lists: NetworkLists, path: tuple[str | int, ...]) -> list[Networks]:
    literal = []
    for index, name in enumerate(names):
        if name not in lists:
            literal.append(name)
            try:
                network_of(name)
            except BadNetwork as exc:
                known = f"; nor is it a list under `networks` ({', '.join(lists)})" if lists else ""
                raise BadRule(f"{exc}{known}", (*path, index)) from None
    found = [lists[name] for name in names if name in lists]
    return [*found, Networks(literal)] if literal else found


def _time(setting: Schedule) -> CompiledRule:
    try:
        zone = zone_of(setting.zone)
    except BadZone as exc:
        raise BadRule(str(exc), ("time", "zone")) from None
    start, end = _minutes(setting.from_), _minutes(setting.to)
    days = frozenset(setting.days or _DAYS)

    def holds(facts: Facts) -> bool:
        local = datetime.fromtimestamp(facts.now_ms / 1000, zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if start < end:
            return start <= minute < end and _DAYS[day] in days
        return (minute >= start and _DAYS[day] in days) or (minute < end and _DAYS[day - 1] in days)

    return CompiledRule("time", holds, lambda facts: f"{datetime.fromtimestamp(facts.now_ms / 1000, zone):%a %H:%M} "
                                                     f"in {setting.zone}")


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
