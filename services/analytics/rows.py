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
from shared.contracts.query import DIMENSIONS, QUANTILES, Measure, Sums, UsageAnswer, UsageQuery, UsageRow
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
        self._where, self.project = query.where, project
        self._asked = [name in query.by for name in DIMENSIONS]

    def __missing__(self, name: bytes) -> "Group | None":
        """A name that has not been seen yet."""
        self[name] = kept = self._keep(read_field(name))
        return kept

    def _keep(self, dimensions: Dimensions) -> "Group | None":
        if self._where and not fits(self._where, {"project": self.project, **dimensions._asdict()}):
            return None
        # in the order of DIMENSIONS
        values = (self.project, *dimensions)
        return Group(tuple([value if asked else None for value, asked in zip(values, self._asked, strict=True)]),
                     dimensions.status // 100)


class _Whole(NamedTuple):
    """Measures of a group, and those of its requests that were refused or failed."""

    measures: Measures
    errors: int
    refused: int


_NOTHING = _Whole(Measures(slots={}), 0, 0)


def answer_of(query: UsageQuery, wanted: Range, found: Found, before: Found | None) -> UsageAnswer:
    """The answer to a query."""
    groups = _wholes((group.values, group.hundred, rows) for (_, group), rows in found.items())
    earlier = None if before is None else _wholes(
        (group.values, group.hundred, rows) for (_, group), rows in before.items())
    total, total_before = _total(groups), None if earlier is None else _total(earlier)
    if earlier is not None:
        groups.update({values: _NOTHING for values in earlier if values not in groups})
    order = sorted(groups, key=lambda values: (-_measure(groups[values], query.order), tuple(map(_text, values))))
    chosen = order[query.skip:query.skip + query.top]
    if query.per is None:
        rows = [_row(values, groups[values], None, earlier) for values in chosen]
    else:
        rows = _by_time(chosen, found)
    return UsageAnswer(rows=rows, groups=len(order), since_ms=wanted.since_ms, until_ms=wanted.until_ms, total=total,
                       before=total_before)


def _by_time(chosen: list[Values], found: Found) -> list[UsageRow]:
    places = {values: number for number, values in enumerate(chosen)}
    timed = _wholes(((time, group.values), group.hundred, rows) for (time, group), rows in found.items()
                    if group.values in places)
    return [_row(values, timed[time, values], time, None)
            for time, values in sorted(timed, key=lambda key: (key[0], places[key[1]]))]


def _row(values: Values, whole: _Whole, time: int | None, earlier: Mapping[Values, _Whole] | None) -> UsageRow:
    row = UsageRow(time=time, **dict(zip(DIMENSIONS, values, strict=True)))
    _tell(row, whole)
    if earlier is not None:
        row.before = Sums()
        _tell(row.before, earlier.get(values, _NOTHING))
    return row


def _total(groups: Mapping[Values, _Whole]) -> Sums:
    sums = Sums()
    if groups:
        _tell(sums, _Whole(Measures.of([whole.measures.row() for whole in groups.values()]),
                           sum(whole.errors for whole in groups.values()),
                           sum(whole.refused for whole in groups.values())))
    return sums


def _wholes(parts: Iterable[tuple[Any, int, list[Row]]]) -> dict[Any, _Whole]:
    """By key, of [key, first digit of the status, stored counters]."""
    rows: dict[Any, list[Row]] = {}
    errors, refused = dict[Any, int](), dict[Any, int]()
    for key, hundred, some in parts:
        rows.setdefault(key, []).extend(some)
        if hundred >= 4:
            counts = errors if hundred >= 5 else refused
            counts[key] = counts.get(key, 0) + sum(row[0] for row in some)
    return {key: _Whole(Measures.of(all_), errors.get(key, 0), refused.get(key, 0)) for key, all_ in rows.items()}


def _measure(whole: _Whole, name: Measure) -> int:
    found: int = getattr(whole if name in ("errors", "refused") else whole.measures, name)
    return found


def _tell(sums: Sums, whole: _Whole) -> None:
    sums.errors, sums.refused = whole.errors, whole.refused
    for name in ("requests", "tasks", "bytes_in", "bytes_out", "late"):
        setattr(sums, name, getattr(whole.measures, name))
    for name, found in zip(QUANTILES, whole.measures.quantiles(_SHARES), strict=True):
        setattr(sums, name, found)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
