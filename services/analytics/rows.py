"""Rows of an answer, from what was found in the counters. Pure.

In:    measures by time and group, a query.
Out:   the groups that were asked for, in their order, and the sum of all.
Never: a look into the store.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from services.analytics.fold import Dimensions
from services.analytics.ledger import read_field
from services.analytics.measures import Measures, Row
from services.analytics.ranges import Range
from shared.contracts.query import DIMENSIONS, QUANTILES, Sums, UsageAnswer, UsageQuery, UsageRow
from shared.contracts.usage_filter import fits

_SHARES = 0.5, 0.95, 0.99
Values = tuple[Any, ...]


class Group(NamedTuple):
    """Values of the dimensions that are kept apart, None for the others; `hundred`: the status's first digit."""

    values: Values
    hundred: int


# the start of a bucket, where buckets are kept apart
Place = tuple[int | None, Group]
Found = dict[Place, list[Row]]


class Kept(dict[bytes, "Group | None"]):
    """What a query keeps of a counter, None where it does not ask for it; found out once for each name of a field."""

    def __init__(self, query: UsageQuery, project: str) -> None:
        """Counters of one project."""
        super().__init__()
        self._query, self.project = query, project

    def __missing__(self, name: bytes) -> "Group | None":
        """A name that has not been seen yet."""
        self[name] = kept = self._keep(read_field(name))
        return kept

    def _keep(self, dimensions: Dimensions) -> "Group | None":
        values = {"project": self.project, **dimensions._asdict()}
        if not fits(self._query.where, values):
            return None
        return Group(tuple(values[name] if name in self._query.by else None for name in DIMENSIONS),
                     dimensions.status // 100)


def answer_of(query: UsageQuery, wanted: Range, found: Found, before: Found | None) -> UsageAnswer:
    """The answer to a query."""
    sums = {key: Measures.of(rows) for key, rows in found.items()}
    sums_before = None if before is None else {key: Measures.of(rows) for key, rows in before.items()}
    groups = _sums((group.values, group.hundred, measures) for (_, group), measures in sums.items())
    earlier = None if sums_before is None else _sums(
        (group.values, group.hundred, measures) for (_, group), measures in sums_before.items())
    if earlier is not None:
        groups.update({values: Sums() for values in earlier if values not in groups})
    order = sorted(groups, key=lambda values: (-getattr(groups[values], query.order), tuple(map(_text, values))))
    chosen = order[query.skip:query.skip + query.top]
    if query.per is None:
        rows = [_row(values, groups[values], None, earlier) for values in chosen]
    else:
        rows = _by_time(chosen, sums)
    return UsageAnswer(
        rows=rows, groups=len(order), since_ms=wanted.since_ms, until_ms=wanted.until_ms, total=_total(sums),
        before=None if sums_before is None else _total(sums_before))


def _by_time(chosen: list[Values], found: Mapping[tuple[int | None, Group], Measures]) -> list[UsageRow]:
    places = {values: number for number, values in enumerate(chosen)}
    timed = _sums(((time, group.values), group.hundred, measures) for (time, group), measures in found.items()
                  if group.values in places)
    return [_row(values, timed[time, values], time, None)
            for time, values in sorted(timed, key=lambda key: (key[0], places[key[1]]))]


def _row(values: Values, sums: Sums, time: int | None, earlier: Mapping[Values, Sums] | None) -> UsageRow:
    row = UsageRow(time=time, **dict(zip(DIMENSIONS, values, strict=True)))
    for name in Sums.__struct_fields__:
        setattr(row, name, getattr(sums, name))
    if earlier is not None:
        row.before = earlier.get(values, Sums())
    return row


def _total(found: Mapping[tuple[int | None, Group], Measures]) -> Sums:
    return _sums((None, group.hundred, measures) for (_, group), measures in found.items()).get(None, Sums())


def _sums(parts: Iterable[tuple[Any, int, Measures]]) -> dict[Any, Sums]:
    """Sums by key, of [key, first digit of the status, measures]."""
    whole: dict[Any, tuple[Measures, Sums]] = {}
    for key, hundred, measures in parts:
        known = whole.get(key)
        if known is None:
            known = whole[key] = (Measures(slots={}), Sums())
        known[0].add(measures)
        if hundred >= 5:
            known[1].errors += measures.requests
        elif hundred == 4:
            known[1].refused += measures.requests
    return {key: _finished(measures, sums) for key, (measures, sums) in whole.items()}


def _finished(measures: Measures, sums: Sums) -> Sums:
    for name in ("requests", "tasks", "bytes_in", "bytes_out", "late"):
        setattr(sums, name, getattr(measures, name))
    for name, found in zip(QUANTILES, measures.quantiles(_SHARES), strict=True):
        setattr(sums, name, found)
    return sums


def _text(value: Any) -> str:
    return "" if value is None else str(value)
