"""Limits, compiled.

In:    a `Limit`; then the facts of a call.
Out:   `Demand`: what the call would take from which amount.
Never: amounts; a subject's value in a key, for a header may be a secret: keys hold digests.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any

from msgspec import Struct

from shared.project.access.cel import BadCel, Undecided, compile_cost
from shared.project.access.facts import MISSING, Facts, claim_pointer, part_of
from shared.project.access.limits import PER_MS, Limit
from shared.project.access.problems import BadRule
from shared.project.periods import BadZone, Calendar

# subjects that are remembered, and of how many characters at the most: a header may be as long as its caller wants
_MAX_KNOWN, _LONGEST_KNOWN = 10_000, 300


class Kind(IntEnum):
    """How an amount is counted."""

    WINDOW = 1
    BUCKET = 2
    PERIOD = 3
    CONCURRENT = 4
    ONCE = 5
    ALLOWANCE = 6


class Demand(Struct, frozen=True, array_like=True):
    """What a call would take. `extra`: size of a bucket, 0 of a smooth one; end of a period or of ONCE, in unix ms.

    Of an ALLOWANCE, `width_ms` is the calls a minute that go on when it is spent, and `key` names a hash and, after a
    bar, its field. What is spent is counted when the work is done, so that nothing is taken; `cost` is the least that
    the call will spend.
    """

    key: str
    kind: Kind
    limit: int
    width_ms: int
    extra: int
    cost: int
    enforced: bool
    name: str

    @property
    def smooth(self) -> bool:
        """Whether calls are let in one after the other, so that nothing can be left."""
        return self.kind is Kind.BUCKET and not self.extra

    @property
    def most(self) -> int:
        """What is left while nobody has called: of a bucket its size, which may be far from what a window lets in."""
        return self.extra if self.kind is Kind.BUCKET and self.extra else self.limit


@dataclass(frozen=True, slots=True)
class CompiledLimit:
    """`where`: the amount's key but for the subject. `enforced` is false, too, for limits of an observing policy."""

    limit: Limit
    name: str
    where: str
    subjects: tuple[Callable[[Facts], str], ...]
    cost: Callable[[Facts], int]
    kind: Kind
    enforced: bool
    period: Callable[[int], tuple[int, int]] | None = None
    # by subject, where the subject is all that a demand depends on
    _known: dict[str, Demand] = field(default_factory=dict, compare=False, repr=False)

    def demand(self, facts: Facts) -> Demand:
        """What this call would take."""
        subject = "\0".join([read(facts) for read in self.subjects])
        known = self._known.get(subject)
        if known is not None:
            return known
        if len(subject) > _LONGEST_KNOWN:
            return self._demand(facts, self.where + _digest_of(subject))
        made = self._demand(facts, self.where + _digest(subject))
        if self.period is None and isinstance(self.limit.cost, int):
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[subject] = made
        return made

    def _demand(self, facts: Facts, key: str) -> Demand:
        limit, width_ms, extra = self.limit.limit or self.limit.concurrent or 1, 0, 0
        if self.period is not None:
            start_ms, extra = self.period(facts.now_ms)
            key, width_ms = f"{key}:{start_ms}", extra - start_ms
        elif self.limit.per is not None:
            width_ms, extra = PER_MS[self.limit.per], self.limit.burst or 0
        return Demand(key, self.kind, limit, width_ms, extra, self.cost(facts), self.enforced, self.name)


def limit_name(limit: Limit, policy: str, index: int) -> str:
    """What a limit is called, whether its owner says so or not. `index`: its place in the policy, from 0."""
    return limit.name or (policy if index == 0 else f"{policy}-{index + 1}")


def compile_limit(limit: Limit, project: str, policy: str, index: int, *, enforced: bool) -> CompiledLimit:
    """Raises BadRule, its path beginning at the limit."""
    name = limit_name(limit, policy, index)
    kind, period = _kind(limit), None
    if limit.calendar is not None:
        try:
            per: Any = limit.per
            period = Calendar(per, limit.calendar).at
        except BadZone as exc:
            raise BadRule(str(exc), ("calendar",)) from None
    shape = f"{kind}-{limit.per or 'now'}"
    return CompiledLimit(limit, name, f"weir:limit:{project}:{policy}:{name}:{shape}:",
                         tuple(_subject(subject) for subject in limit.by), _cost(limit), kind,
                         enforced and limit.mode == "enforce", period)


def _kind(limit: Limit) -> Kind:
    if limit.concurrent is not None:
        return Kind.CONCURRENT
    if limit.calendar is not None:
        return Kind.PERIOD
    return Kind.BUCKET if limit.burst is not None or limit.smooth else Kind.WINDOW


def _cost(limit: Limit) -> Callable[[Facts], int]:
    cost = limit.cost
    if isinstance(cost, int):
        return lambda _: cost
    try:
        evaluate = compile_cost(cost)
    except BadCel as exc:
        raise BadRule(str(exc), ("cost",)) from None
    # whoever keeps a cost from having a value must not call the cheaper for it
    whole = limit.burst or limit.limit or 1

    def of(facts: Facts) -> int:
        try:
            return evaluate(facts)
        except Undecided:
            return whole
    return of


def _subject(subject: str) -> Callable[[Facts], str]:
    kind, _, name = subject.partition(":")
    if kind == "header":
        key = name.lower()
        return lambda facts: facts.headers.get(key, "")
    if kind == "claim":
        pointer = claim_pointer(name)
        return lambda facts: _text(part_of(facts.claims, pointer))
    return _SUBJECTS[kind]


def _digest_of(subject: str) -> str:
    return hashlib.blake2b(subject.encode(errors="replace"), digest_size=12).hexdigest()


_digest = lru_cache(maxsize=20_000)(_digest_of)


def _text(value: Any) -> str:
    if value is MISSING:
        return ""
    return ",".join(str(one) for one in value) if isinstance(value, Sequence) and not isinstance(value, str) else (
        str(value))


def _caller(facts: Facts) -> str:
    """A caller without a name is told from others by its address."""
    return f"c:{facts.client}" if facts.client else f"i:{facts.ip}"


# who proves itself by a JWT, a signature or a certificate has no token of ours, and is told by its name
_SUBJECTS: dict[str, Callable[[Facts], str]] = {
    "client": _caller, "token": lambda facts: f"t:{facts.token}" if facts.token else _caller(facts),
    "role": lambda facts: ",".join(sorted(facts.roles)), "ip": lambda facts: facts.ip,
    "operation": lambda facts: facts.operation, "project": lambda _: ""}
