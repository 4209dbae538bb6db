"""Rows of an answer, from what was found in the counters. Pure.

In:    measures by time and group, a query.
Out:   the groups that were asked for, in their order, and the sum of all.
Never: a look into the store.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from shared.contracts.query import DIMENSIONS, QUANTILES, Measure, Sums, UsageAnswer, UsageQuery, UsageRow
from shared.contracts.usage_filter import fits
from shared.usage.dimensions import Dimensions, read_field
from shared.usage.measures import Measures, Row
from shared.usage.ranges import Range

_SHARES = 0.5, 0.95, 0.99
_ADDED = "requests", "tasks", "bytes_in", "bytes_out", "late"
Values = tuple[Any, ...]


class Group(NamedTuple):
    """Values of the dimensions that are kept apart, None for the others; `hundred`: the status's first digit."""

    values: Values
    hundred: int


# the start of a bucket, where buckets are kept apart
Place = tuple[int | None, Group]
Found = dict[Place, list[Row]]
# the status's first digit, a stored counter
Part = tuple[int, Row]
# sums that are remembered, about two kilobytes each
_MOST = 5_000
# groups that are added up to one sum of many
_TOGETHER = 16
# names of fields whose groups are remembered, for each question
_MOST_NAMES = 5_000


class Kept(dict[bytes, "Group | None"]):
    """What a query keeps of a counter, None where it does not ask for it; found out once for each name of a field."""

    def __init__(self, query: UsageQuery, project: str) -> None:
        """Counters of one project."""
        super().__init__()
        self._where, self.project = query.where, project
        self._asked = [name in query.by for name in DIMENSIONS]

    def __missing__(self, name: bytes) -> "Group | None":
        """A name that has not been seen yet."""
        if len(self) >= _MOST_NAMES:
            self.clear()
        self[name] = kept = self._keep(read_field(name))
        return kept

    def _keep(self, dimensions: Dimensions) -> "Group | None":
        if self._where and not fits(self._where, {"project": self.project, **dimensions._asdict()}):
            return None
        # in the order of DIMENSIONS
        values = (self.project, *dimensions)
        return Group(tuple([value if asked else None for value, asked in zip(values, self._asked, strict=True)]),
                     dimensions.status // 100)


class _Whole:
    """Measures of a group, and those of its requests that were refused or failed."""

    def __init__(self, parts: list[Part]) -> None:
        self.measures = Measures.of([row for _, row in parts])
        self.stored = self.measures.row()
        self.errors = sum(row[0] for hundred, row in parts if hundred >= 5)
        self.refused = sum(row[0] for hundred, row in parts if hundred == 4)
        # by the values and the time that it was told with
        self._rows: dict[tuple[Values, int | None], UsageRow] = {}

    def row(self, values: Values, time: int | None) -> UsageRow:
        """As a row of an answer, the same one as before."""
        known = self._rows.get((values, time))
        if known is None:
            known = self._rows[values, time] = self.beside(values, time, None)
        return known

    def beside(self, values: Values, time: int | None, before: Sums | None) -> UsageRow:
        """As a row of an answer that compares."""
        members: dict[str, Any] = dict(zip(DIMENSIONS, values, strict=True))
        members.update(self.told)
        return UsageRow(time=time, before=before, **members)

    @cached_property
    def told(self) -> Mapping[str, int | None]:
        """The members of `Sums`."""
        return {**{name: getattr(self.measures, name) for name in _ADDED}, "errors": self.errors,
                "refused": self.refused, **dict(zip(QUANTILES, self.measures.quantiles(_SHARES), strict=True))}


class Wholes:
    """Sums that have been made before: of these very rows, since nobody changes a row."""

    def __init__(self) -> None:
        """None yet."""
        self._known: dict[tuple[int, ...], tuple[list[Part], _Whole]] = {}

    def by_key(self, parts: Iterable[tuple[Any, int, list[Row]]]) -> dict[Any, _Whole]:
        """By key, of [key, first digit of the status, stored counters]."""
        found: dict[Any, list[Part]] = {}
        for key, hundred, rows in parts:
            found.setdefault(key, []).extend((hundred, row) for row in rows)
        return {key: self._of(some) for key, some in found.items()}

    def total(self, groups: Iterable[_Whole]) -> _Whole:
        """The sum of all groups: few have changed, so few of the sums that it is made of are made again."""
        rows = [(0, group.stored) for group in groups]
        return _Whole([(0, self._of(rows[at:at + _TOGETHER]).stored) for at in range(0, len(rows), _TOGETHER)])

    def _of(self, parts: list[Part]) -> _Whole:
        # rows that stand here are held, so no others have their ids
        key = tuple([id(row) for _, row in parts])
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST:
                self._known = {}
            known = self._known[key] = parts, _Whole(parts)
        return known[1]


_NOTHING = _Whole([(0, Measures(slots={}).row())])


def answer_of(query: UsageQuery, wanted: Range, found: Found, before: Found | None,
              wholes: Wholes | None = None) -> UsageAnswer:
    """The answer to a query."""
    wholes = wholes or Wholes()
    groups = wholes.by_key((group.values, group.hundred, rows) for (_, group), rows in found.items())
    earlier = None if before is None else wholes.by_key(
        (group.values, group.hundred, rows) for (_, group), rows in before.items())
    total, total_before = _total(groups, wholes), None if earlier is None else _total(earlier, wholes)
    if earlier is not None:
        groups.update({values: _NOTHING for values in earlier if values not in groups})
    order = sorted(groups, key=lambda values: (-_measure(groups[values], query.order), tuple(map(_text, values))))
    chosen = order[query.skip:query.skip + query.top]
    if query.per is None:
        rows = [_row(values, groups[values], None, earlier) for values in chosen]
    else:
        rows = _by_time(chosen, found, wholes)
    return UsageAnswer(rows=rows, groups=len(order), since_ms=wanted.since_ms, until_ms=wanted.until_ms, total=total,
                       before=total_before)


def _by_time(chosen: list[Values], found: Found, wholes: Wholes) -> list[UsageRow]:
    places = {values: number for number, values in enumerate(chosen)}
    timed = wholes.by_key(((time, group.values), group.hundred, rows) for (time, group), rows in found.items()
                          if group.values in places)
    return [_row(values, timed[time, values], time, None)
            for time, values in sorted(timed, key=lambda key: (key[0], places[key[1]]))]


def _row(values: Values, whole: _Whole, time: int | None, earlier: Mapping[Values, _Whole] | None) -> UsageRow:
    if earlier is None:
        return whole.row(values, time)
    return whole.beside(values, time, _sums(earlier.get(values, _NOTHING).told))


def _total(groups: Mapping[Values, _Whole], wholes: Wholes) -> Sums:
    if not groups:
        return Sums()
    sums = _sums(wholes.total(groups.values()).told)
    sums.errors = sum(whole.errors for whole in groups.values())
    sums.refused = sum(whole.refused for whole in groups.values())
    return sums


def _sums(told: Mapping[str, Any]) -> Sums:
    return Sums(**told)


def _measure(whole: _Whole, name: Measure) -> int:
    found: int = getattr(whole if name in ("errors", "refused") else whole.measures, name)
    return found


def _text(value: Any) -> str:
    return "" if value is None else str(value)
