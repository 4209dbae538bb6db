"""A trace as text, and what its request has waited for."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.console.cli.critical_path import QUEUE, WORK, critical_path
from services.console.cli.waterfall import CRITICAL, WAITED, summary, waterfall


def span(identity: str, parent: str, start: int, end: int, kind: str = "internal", **attributes: Any) -> dict[str, Any]:
    return {"span_id": identity, "parent_id": parent, "start_us": start, "end_us": end, "service": "s", "kind": kind,
            "name": f"span {identity}", "failed": identity == "c", "attributes": attributes}


def texts(lines: list[list[tuple[str, str]]]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


# an edge that sends to a hop, which works and answers; the edge takes the answer
CALL = [span("edge", "", 0, 1000, "server"), span("out", "edge", 50, 150, "producer"),
        span("hop", "out", 300, 800, "consumer", **{"weir.queue_us": 250}), span("step", "hop", 320, 780),
        span("back", "hop", 790, 900, "producer"), span("taken", "back", 950, 1000, "consumer")]


def test_children_stand_under_their_parents_in_order() -> None:
    lines = texts(waterfall([span("c", "a", 50, 90), span("a", "gone", 0, 100), span("b", "a", 10, 40)]))
    assert [line.split("span ")[-1].split()[0] for line in lines] == ["a", "b", "c"]
    assert lines[2].endswith("FAILED")


def test_waiting_time_is_drawn_before_the_work_and_said_beside_it() -> None:
    hop = texts(waterfall(CALL))[2]
    assert "(queued 0.2 ms)" in hop
    bar = hop.split("|")[1]
    assert (bar.index(WAITED), bar.index(CRITICAL)) == (2, 12)


def test_critical_path_is_what_everything_waited_for_moment_by_moment() -> None:
    assert [(one.span_id, one.kind, one.start_us, one.end_us) for one in critical_path(CALL)] == [
        ("edge", WORK, 0, 50), ("out", QUEUE, 50, 300), ("hop", WORK, 300, 320), ("step", WORK, 320, 780),
        ("hop", WORK, 780, 790), ("back", QUEUE, 790, 950), ("taken", WORK, 950, 1000)]


def test_of_two_at_the_same_time_the_one_that_ended_last_counts() -> None:
    both = [span("a", "", 0, 100), span("b", "a", 10, 50), span("c", "a", 20, 90)]
    assert [(one.span_id, one.took_us) for one in critical_path(both)] == [("a", 20), ("c", 70), ("a", 10)]


def test_summary_says_where_the_time_went_the_longest_first() -> None:
    lines = texts(summary(CALL))
    assert lines[0] == "critical path: 1.00 ms, of it 0.41 ms in topics, 0.59 ms at work"
    assert lines[1].split() == ["46", "%", "0.46", "ms", "work", "span", "step", "(s)"]
    assert lines[2].split() == ["25", "%", "0.25", "ms", "queue", "span", "out"]


def test_tries_are_counted() -> None:
    tried = {**span("a", "", 0, 10), "events": [{"name": "retry"}, {"name": "retry"}]}
    assert "(3 tries)" in texts(waterfall([tried]))[0]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdefg"), st.integers(0, 99),
                          st.integers(0, 99), st.sampled_from(["server", "internal", "producer", "consumer"])),
                max_size=6, unique_by=lambda row: row[0]))
def test_any_set_of_spans_can_be_drawn(rows: list[tuple[str, str, int, int, str]]) -> None:
    spans = [span(identity, parent, start, start + length, kind) for identity, parent, start, length, kind in rows]
    assert len(waterfall(spans)) == max(1, len(rows))
    summary(spans)
    stretches = critical_path(spans)
    for before, after in pairwise(stretches):
        assert before.end_us <= after.start_us
