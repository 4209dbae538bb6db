"""Grouping of sums."""

from hypothesis import given
from hypothesis import strategies as st

from services.analytics.fold import Dimensions
from services.analytics.measures import Measures
from services.analytics.queries import group

names = st.text(max_size=8)
dimensions = st.builds(Dimensions, names, names, st.sampled_from(["edge", "internal"]), st.integers(100, 599), names)


@given(st.dictionaries(dimensions, st.integers(1, 100), max_size=8),
       st.sets(st.sampled_from(["operation", "client", "status"])))
def test_grouping_loses_no_request(sums: dict[Dimensions, int], by: set[str]) -> None:
    rows = group({key: Measures(requests=count) for key, count in sums.items()}, tuple(by))
    assert sum(row.requests for row in rows) == sum(sums.values())
    assert all((row.client is None) == ("client" not in by) for row in rows)
