"""Groups, their order, their totals."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.query import DIMENSIONS, UsageQuery
from shared.usage.dimensions import Dimensions
from shared.usage.measures import slot_of
from shared.usage.ranges import Range
from shared.usage.rows import Found, Kept, answer_of

names = st.text(max_size=4)
dimensions = st.builds(Dimensions, names, names, st.sampled_from(["edge", "internal"]), st.integers(100, 599), names)
counts = st.dictionaries(dimensions, st.integers(1, 100), max_size=10)
RANGE = Range(0, 60_000, [])


def found(query: UsageQuery, sums: dict[Dimensions, int], time: int | None = None) -> Found:
    kept, result = Kept(query, "p"), Found()
    for one, requests in sums.items():
        group = kept[msgspec.json.encode(one)]
        if group is not None:
            result.setdefault((time, group), []).append(
                [requests, 2 * requests, 0, 0, requests * 100, 0, {slot_of(100): requests}])
    return result


def query(**more: object) -> UsageQuery:
    return UsageQuery(project="p", since_ms=0, until_ms=60_000, **more)


@given(counts, st.sets(st.sampled_from(DIMENSIONS)))
def test_grouping_loses_no_request(sums: dict[Dimensions, int], by: set[str]) -> None:
    asked = query(by=tuple(by))
    answer = answer_of(asked, RANGE, found(asked, sums), None)
    assert sum(row.requests for row in answer.rows) == answer.total.requests == sum(sums.values())
    assert answer.total.errors == sum(count for one, count in sums.items() if one.status >= 500)
    assert answer.total.refused == sum(count for one, count in sums.items() if 400 <= one.status < 500)
    assert all((row.client is None) == ("client" not in by) for row in answer.rows)
    assert [row.requests for row in answer.rows] == sorted((row.requests for row in answer.rows), reverse=True)


@given(counts)
def test_filters_keep_what_they_name(sums: dict[Dimensions, int]) -> None:
    asked = query(by=("status", "source"), where={"status": ["4xx", "500"], "source": ["e*"]})
    answer = answer_of(asked, RANGE, found(asked, sums), None)
    assert answer.total.requests == sum(
        count for one, count in sums.items() if one.source == "edge" and (one.status // 100 == 4 or one.status == 500))


def some(clients: dict[str, int]) -> dict[Dimensions, int]:
    return {Dimensions("o", client, "edge", 200, "ok"): count for client, count in clients.items()}


def test_top_and_skip_cut_the_groups_and_not_the_total() -> None:
    asked = query(by=("client",), top=1, skip=1)
    answer = answer_of(asked, RANGE, found(asked, some({"a": 1, "b": 5, "c": 3})), None)
    assert [row.client for row in answer.rows] == ["c"]
    assert (answer.groups, answer.total.requests) == (3, 9)


def test_comparison_shows_who_has_gone_and_who_is_new() -> None:
    asked = query(by=("client",), compare=True)
    answer = answer_of(asked, RANGE, found(asked, some({"new": 2})), found(asked, some({"gone": 7})))
    rows = {row.client: (row.requests, row.before.requests) for row in answer.rows if row.before is not None}
    assert rows == {"new": (2, 0), "gone": (0, 7)}
    assert answer.before is not None
    assert answer.before.requests == 7


def test_rows_by_time_are_those_of_the_largest_groups() -> None:
    asked = query(by=("client",), per="minute", top=1)
    first, second = found(asked, some({"a": 1, "b": 3}), 0), found(asked, some({"a": 9, "b": 1}), 60_000)
    answer = answer_of(asked, RANGE, {**first, **second}, None)
    assert [(row.time, row.client, row.requests) for row in answer.rows] == [(0, "a", 1), (60_000, "a", 9)]
    assert answer.rows[0].p50_us is not None
    assert 90 <= answer.rows[0].p50_us <= 110
