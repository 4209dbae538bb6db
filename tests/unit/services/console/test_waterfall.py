"""A trace as text."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.console.cli.waterfall import waterfall


def span(identity: str, parent: str, start: int, end: int, **attributes: Any) -> dict[str, Any]:
    return {"span_id": identity, "parent_id": parent, "start_us": start, "end_us": end, "service": "s",
            "name": f"span {identity}", "failed": identity == "c", "attributes": attributes}


def test_children_stand_under_their_parents_in_order() -> None:
    lines = waterfall([span("c", "a", 50, 90), span("a", "gone", 0, 100), span("b", "a", 10, 40)])
    assert [line.split("  span")[-1].split()[0] for line in lines] == ["a", "b", "c"]
    assert lines[2].endswith("FAILED")


def test_waiting_time_is_shown_beside_the_work() -> None:
    assert "(queued 1.5 ms)" in waterfall([span("a", "", 0, 10, **{"weir.queue_us": 1500})])[0]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdefg"), st.integers(0, 99),
                          st.integers(0, 99)), max_size=6, unique_by=lambda row: row[0]))
def test_any_set_of_spans_can_be_drawn(rows: list[tuple[str, str, int, int]]) -> None:
    lines = waterfall([span(identity, parent, start, start + length) for identity, parent, start, length in rows])
    assert len(lines) == max(1, len(rows))
