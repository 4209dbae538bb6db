"""What questions have been told of the past, for the next one: whoever watches usage asks the same again and again.

In:    a question, how often each of its past buckets has changed.
Out:   sums of those buckets, as long as none of them has changed since.
Never: more of them than the bound allows.
"""

from collections import OrderedDict
from collections.abc import Sequence

from shared.contracts.query import UsageQuery
from shared.usage.counters import State
from shared.usage.measures import Row
from shared.usage.rows import Place

Rows = dict[Place, Row]
# groups and buckets that are kept, of all questions together; about half a kilobyte each
_MOST = 20_000


class Past:
    """Of one process."""

    def __init__(self) -> None:
        """Nothing known."""
        self._known: OrderedDict[tuple[object, ...], tuple[Sequence[State], Rows]] = OrderedDict()
        self._size = 0

    def told(self, query: UsageQuery, project: str, states: Sequence[State]) -> Rows | None:
        """The sums of these buckets; None where they are not known as they stand now."""
        asked = asked_of(query, project)
        known = self._known.get(asked)
        if known is None or known[0] != states:
            return None
        self._known.move_to_end(asked)
        return known[1]

    def keep(self, query: UsageQuery, project: str, states: Sequence[State], rows: Rows) -> None:
        """Sums that have just been made."""
        asked = asked_of(query, project)
        if asked in self._known:
            self._size -= _size(*self._known.pop(asked))
        self._known[asked] = states, rows
        self._size += _size(states, rows)
        while self._size > _MOST:
            _, gone = self._known.popitem(last=False)
            self._size -= _size(*gone)


def _size(states: Sequence[State], rows: Rows) -> int:
    """A question that nothing fits takes room as well."""
    return 1 + len(states) + len(rows)


def asked_of(query: UsageQuery, project: str) -> tuple[object, ...]:
    """What is asked, whatever the range."""
    where = tuple(sorted((name, tuple(values)) for name, values in query.where.items()))
    return project, query.by, where, query.per
