"""Amounts spent, in memory: the same arithmetic as `shared/store/lua/limits.lua`.

In:    what the requests of a batch demand, the time.
Out:   for each demand what is left, and how long to wait when it does not fit.
Never: I/O, a clock.

Used where the store is not: by replay with its virtual clock, by explain, and by policy while Redis is away.

A sliding window is counted in twenty parts, and a part counts until it has left the window as a whole: so no window,
wherever it begins, ever holds more than its limit. A token bucket is one number, the time at which it is full again
(GCRA, ITU-T I.371), to the picosecond: of a limit of bytes many flow in within a microsecond. A smooth limit is the
same number, and lets in when it is past: a cost of two takes twice as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import ceil, floor
from typing import NamedTuple

from msgspec import Struct

from shared.project.access.budgets import Demand, Kind

_PARTS, _MINUTE_MS = 20, 60_000
# when more amounts than these are known, those that are over are forgotten
_TIDY_AT = 10_000
# so many that have gone are kept before they are forgotten all together
_MOST_GONE = 100
# nobody is told of more, nor to wait for longer: 317 years
_FAR = 10**13
# of a microsecond; what is said in milliseconds is not one more for it
_NOISE = 1e-3


class Outcome(NamedTuple):
    """What is left; milliseconds until more is; milliseconds to wait, 0 when the demand fits.

    Of what one request alone may have, `left` is what was left before it: 0 where it has it already.
    """

    left: int
    reset_ms: int
    wait_ms: int


class Doubted(Outcome):
    """What memory says after the store was asked and did not answer: it may have taken what was demanded anyway."""

    __slots__ = ()


# to a demand that only the store can answer, while it is away
UNKNOWN = Outcome(0, 1000, 1000)


class Ask(Struct, frozen=True, array_like=True):
    """What one request demands. `until_ms`: when it ends at the latest, which frees what it holds."""

    request_id: str
    until_ms: int
    demands: Sequence[Demand]


@dataclass(slots=True)
class _Amount:
    over_us: int = 0
    # whole microseconds, and the rest; a float, for the script has nothing else, and both reckon alike
    full_at_us: float = 0.0
    full_at_ps: int = 0
    used: int = 0
    parts: dict[int, int] = field(default_factory=dict)
    holders: dict[str, int] = field(default_factory=dict)
    # when whom's time is over, the next one first; who has gone, or holds on, is still among them
    ends: list[tuple[int, str]] = field(default_factory=list)


class Amounts:
    """Amounts by key. `share`: the part of each limit, and of a bucket's size, that counts here, as 1/share."""

    def __init__(self, share: int = 1) -> None:
        """Nothing is spent."""
        self._amounts: dict[str, _Amount] = {}
        self._share, self._tidy_at = share, _TIDY_AT

    def spend(self, asks: Sequence[Ask], now_us: int) -> list[list[Outcome]]:
        """Take what is demanded, one request after the other; a request takes all of it or nothing."""
        if len(self._amounts) > self._tidy_at:
            self._amounts = {key: amount for key, amount in self._amounts.items() if amount.over_us > now_us}
            # where most of them are still in force, each call would look through all
            self._tidy_at = max(_TIDY_AT, 2 * len(self._amounts))
        return [self._one(ask, now_us) for ask in asks]

    def release(self, request_id: str, keys: Sequence[str]) -> None:
        """Free what a request holds; without this it ends with its `until_ms`."""
        for key in keys:
            if key in self._amounts:
                self._amounts[key].holders.pop(request_id, None)

    def _one(self, ask: Ask, now_us: int) -> list[Outcome]:
        seen = [self._look(demand, ask, now_us) for demand in ask.demands]
        admitted = all(look.wait_ms == 0 for look, demand in zip(seen, ask.demands, strict=True) if demand.enforced)
        outcomes = []
        for look, demand in zip(seen, ask.demands, strict=True):
            left = look.left
            if admitted and look.wait_ms == 0:
                self._take(demand, ask, now_us)
                left -= _taken(demand)
            outcomes.append(Outcome(min(max(left, 0), _FAR), look.reset_ms, look.wait_ms))
        return outcomes

    def _part(self, whole: int) -> int:
        """What counts here of what all instances have together; never nothing."""
        return max(1, whole // self._share)

    def _look(self, demand: Demand, ask: Ask, now_us: int) -> Outcome:
        amount = self._amounts.setdefault(demand.key, _Amount())
        limit, now_ms = self._part(demand.limit), now_us // 1000
        if demand.kind is Kind.WINDOW:
            return _window(amount, demand, limit, now_ms)
        if demand.kind is Kind.BUCKET:
            return (_smooth(amount, demand, limit, now_us) if demand.smooth
                    else _bucket(amount, demand, limit, self._part(demand.extra), now_us))
        if demand.kind is Kind.PERIOD:
            reset = max(demand.extra - now_ms, 1)
            return Outcome(limit - amount.used, reset, 0 if amount.used + demand.cost <= limit else reset)
        if demand.kind is Kind.ALLOWANCE:
            return _allowance(amount, demand, limit, now_ms)
        _let_go(amount, now_ms)
        fits = ask.request_id in amount.holders or len(amount.holders) < limit
        reset = max(demand.extra - now_ms, 1) if demand.kind is Kind.ONCE else 1000
        return Outcome(limit - len(amount.holders), reset, 0 if fits else reset)

    def _take(self, demand: Demand, ask: Ask, now_us: int) -> None:
        amount, limit = self._amounts[demand.key], self._part(demand.limit)
        if demand.kind is Kind.ALLOWANCE:
            _spend(amount, demand, limit, now_us)
        elif demand.kind is Kind.WINDOW:
            part_ms = _part_ms(demand)
            current = now_us // 1000 // part_ms
            amount.parts[current] = amount.parts.get(current, 0) + demand.cost
            amount.over_us = now_us + (demand.width_ms + 2 * part_ms) * 1000
        elif demand.kind is Kind.BUCKET:
            _fill(amount, max(_ahead(amount, now_us), 0.0) + _us_of(demand, demand.cost, limit), now_us)
            amount.over_us = int(amount.full_at_us) + 1
        elif demand.kind is Kind.PERIOD:
            amount.used += demand.cost
            amount.over_us = demand.extra * 1000
        else:
            until_ms = demand.extra if demand.kind is Kind.ONCE else ask.until_ms
            _hold(amount, ask.request_id, until_ms)
            amount.over_us = max(amount.over_us, until_ms * 1000)


def _hold(amount: _Amount, holder: str, until_ms: int) -> None:
    amount.holders[holder] = until_ms
    heappush(amount.ends, (until_ms, holder))
    if len(amount.ends) > 2 * len(amount.holders) + _MOST_GONE:
        amount.ends = sorted([(until, who) for who, until in amount.holders.items()])


def _let_go(amount: _Amount, now_ms: int) -> None:
    """Those whose time is over. Nobody looks at the others: with thousands of places each call would look at all."""
    while amount.ends and amount.ends[0][0] <= now_ms:
        until, holder = heappop(amount.ends)
        if amount.holders.get(holder) == until:
            del amount.holders[holder]


def _part_ms(demand: Demand) -> int:
    return -(-demand.width_ms // _PARTS)


def _us_of(demand: Demand, cost: int, limit: int) -> float:
    """Time in which so much flows into a bucket."""
    return float(cost) * (demand.width_ms * 1000) / limit


def _slack_us(demand: Demand, limit: int, most: float) -> float:
    """Below what a bucket is not looked at: what rounding adds up to, and never so much as one call costs."""
    return min(max(_NOISE, most * 1e-12), _us_of(demand, 1, limit) / 2)


def _taken(demand: Demand) -> int:
    """What an answer has less than the look before it. What is spent of an allowance shows when it is counted.

    Of what is taken once it has nothing less: so a request that has it already is told apart from one that takes it.
    """
    if demand.kind in (Kind.ALLOWANCE, Kind.ONCE):
        return 0
    return 1 if demand.kind is Kind.CONCURRENT else demand.cost


def _allowance(amount: _Amount, demand: Demand, limit: int, now_ms: int) -> Outcome:
    reset = max(demand.extra - now_ms, 1)
    if amount.used < limit:
        return Outcome(limit - amount.used, reset, 0)
    if not demand.width_ms:
        return Outcome(0, reset, reset)
    return Outcome(0, reset, _window(amount, _rate(demand), demand.width_ms, now_ms).wait_ms)


def _spend(amount: _Amount, demand: Demand, limit: int, now_us: int) -> None:
    """What the store learns from analytics, a memory has to guess: the least that the call will spend."""
    if amount.used >= limit and demand.width_ms:
        current = now_us // 1000 // _part_ms(_rate(demand))
        amount.parts[current] = amount.parts.get(current, 0) + 1
    amount.used += demand.cost
    amount.over_us = demand.extra * 1000


def _rate(demand: Demand) -> Demand:
    """The window of the calls that go on when all is spent."""
    return Demand(demand.key, Kind.WINDOW, demand.width_ms, _MINUTE_MS, 1, 1, True, demand.name)


def _inside(parts: dict[int, int], current: int) -> dict[int, int]:
    """The parts in the window. What was counted by a clock ahead of this one counts as now: it would be in the window
    until that time comes."""
    found = {index: count for index, count in parts.items() if current - _PARTS <= index <= current}
    if ahead := sum([count for index, count in parts.items() if index > current]):
        found[current] = found.get(current, 0) + ahead
    return found


def _window(amount: _Amount, demand: Demand, limit: int, now_ms: int) -> Outcome:
    part_ms = _part_ms(demand)
    current = now_ms // part_ms
    amount.parts = _inside(amount.parts, current)
    used = sum(amount.parts.values())
    waits = [(index + _PARTS + 1) * part_ms - now_ms for index in sorted(amount.parts)]
    reset = waits[0] if waits else demand.width_ms
    if used + demand.cost <= limit:
        return Outcome(limit - used, reset, 0)
    freed = 0
    for index, wait in zip(sorted(amount.parts), waits, strict=True):
        freed += amount.parts[index]
        if used - freed + demand.cost <= limit:
            return Outcome(limit - used, reset, max(wait, 1))
    return Outcome(limit - used, reset, demand.width_ms)


def _ahead(amount: _Amount, now_us: int) -> float:
    """Time until a bucket is full again, microseconds; below zero where it is."""
    return amount.full_at_us - now_us + amount.full_at_ps / 1e6


def _fill(amount: _Amount, ahead: float, now_us: int) -> None:
    """It will be full then; rounded up: rounding must not admit more."""
    whole = floor(ahead)
    rest = ceil((ahead - whole) * 1e6)
    amount.full_at_us, amount.full_at_ps = (now_us + float(whole), rest) if rest < 1e6 else (now_us + whole + 1.0, 0)


def _cut(amount: _Amount, most: float, slack: float, now_us: int) -> float:
    """What is ahead. What is farther ahead than all that a bucket holds was taken while the limit was another, or by
    another clock."""
    ahead = _ahead(amount, now_us)
    if ahead > most + slack:
        _fill(amount, most, now_us)
        return most
    return max(ahead, 0.0)


def _ms(us: float) -> int:
    """Milliseconds, rounded up."""
    return ceil(max(us - _NOISE, 0.0) / 1000)


def _bucket(amount: _Amount, demand: Demand, limit: int, size: int, now_us: int) -> Outcome:
    each, most = _us_of(demand, 1, limit), _us_of(demand, size, limit)
    slack = _slack_us(demand, limit, most)
    ahead = _cut(amount, most, slack, now_us)
    after = ahead + _us_of(demand, demand.cost, limit)
    left, reset = floor((most - ahead + slack) / each), _ms(min(each, ahead))
    if after <= most + slack:
        return Outcome(left, reset, 0)
    wait = min(max(_ms(after - most), 1), _FAR)
    return Outcome(left, reset, demand.width_ms if demand.cost > size else wait)


def _smooth(amount: _Amount, demand: Demand, limit: int, now_us: int) -> Outcome:
    """A call is let in when nothing is ahead of it, and what it costs is how long the next one waits."""
    most = _us_of(demand, limit, limit)
    slack = _slack_us(demand, limit, most)
    ahead = _cut(amount, most, slack, now_us)
    free = ahead <= slack
    wait = _ms(_us_of(demand, demand.cost, limit) if free else ahead)
    if free and demand.cost > limit:
        wait = demand.width_ms
    if demand.cost == 0 or (free and demand.cost <= limit):
        return Outcome(int(free), wait, 0)
    return Outcome(int(free), wait, demand.width_ms if demand.cost > limit else wait)
