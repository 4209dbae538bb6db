"""What is remembered of the past."""

from shared.contracts.query import UsageQuery
from shared.usage import past
from shared.usage.buckets import HOUR
from shared.usage.counters import State
from shared.usage.past import Past, Rows
from shared.usage.rows import Group

QUERY = UsageQuery(project="p", since_ms=0, until_ms=60_000)
STATES = [State("p", (HOUR, 1), 3, 1)]


def rows(count: int) -> Rows:
    return {(None, Group((number,), 2)): [1, 0, 0, 0, 0, 0, []] for number in range(count)}


def test_sums_are_told_as_long_as_nothing_has_changed() -> None:
    known = Past()
    known.keep(QUERY, "p", STATES, rows(1))
    assert known.told(QUERY, "p", STATES) == rows(1)
    assert known.told(QUERY, "other", STATES) is None
    assert known.told(UsageQuery(project="p", since_ms=0, until_ms=60_000, by=("client",)), "p", STATES) is None
    assert known.told(QUERY, "p", [State("p", (HOUR, 1), 3, 2)]) is None
    assert known.told(QUERY, "p", [*STATES, State("p", (HOUR, 2), 1, 1)]) is None


def test_what_was_asked_for_longest_ago_is_forgotten_first() -> None:
    known = Past()
    for name in ("a", "b"):
        known.keep(QUERY, name, STATES, rows(past._MOST // 2 - 2))
    assert known.told(QUERY, "a", STATES)
    known.keep(QUERY, "c", STATES, rows(1))
    known.keep(QUERY, "c", STATES, rows(2))
    assert known.told(QUERY, "b", STATES) is None
    assert known.told(QUERY, "a", STATES)
    known.keep(QUERY, "d", STATES, rows(past._MOST + 1))
    assert [known.told(QUERY, name, STATES) for name in ("a", "c", "d")] == [None] * 3


def test_questions_that_nothing_fits_are_bounded_as_well() -> None:
    known = Past()
    for number in range(past._MOST):
        known.keep(QUERY, str(number), STATES, {})
    assert known.told(QUERY, "0", STATES) is None
    assert known.told(QUERY, str(past._MOST - 1), STATES) == {}
