"""What the bench measures is there: rows on a real cluster, short, so their figures say nothing."""

from collections.abc import Iterator

import pytest

from tests.bench.bed import Bed
from tests.bench.results import Results
from tests.bench.rounds import measure
from tests.bench.rows import BARE, Load, Row, prepare
from tests.support.platform import Platform

LOAD, SECONDS = Load(8), 0.5


@pytest.fixture(scope="module")
def bed(platform: Platform) -> Iterator[Bed]:
    """The cluster of all tests, and the floor beside it."""
    made = Bed(platform)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def rows(bed: Bed) -> dict[str, Row]:
    """Some of the rows, measured once."""
    made = {row.name: row for row in prepare(bed, ["blocked", "standard", "async", "internal"])}
    bed.configured()
    for row in made.values():
        row.results[LOAD] = [measure(bed, row, LOAD, SECONDS)]
    return made


def test_row_is_told_beside_the_bare_one_with_what_each_process_used(rows: dict[str, Row]) -> None:
    results = Results(machine={}, options={})
    results.take(list(rows.values()))
    [found], [bare] = rows["standard"].results[LOAD], rows[BARE].results[LOAD]
    assert results.beside_bare("standard", str(LOAD))["rate"].median == pytest.approx(found["rps"] / bare["rps"])
    assert (found["wrong"], found["unanswered"], found["lost"]) == (0, 0, 0)
    for process in ("ingress", "policy", "executor", "kafka", "valkey"):
        assert found["switches"][process] > 0, process
    # one instance of several may have read nothing in so short a time
    assert found["cpu_us"]["ingress"] > 0
    assert found["cpu_us"]["kafka"] > 0


def test_bytes_are_those_that_a_row_has_written(rows: dict[str, Row]) -> None:
    [standard], [bare], [blocked], [internal] = (
        rows[name].results[LOAD] for name in ("standard", BARE, "blocked", "internal"))
    assert set(bare["log_bytes"]) == {"bench.requests", "bench.work", "bench.replies"}
    for found, requests in ((standard, "weir.requests.edge"), (internal, "weir.requests.internal")):
        # the body of ten fields, and headers
        assert found["log_bytes"][requests] > 400
        assert found["log_bytes"]["weir.executions"] > 400
    # a call that is blocked at the edge is told in usage, and nowhere else
    assert blocked["log_bytes"].get("weir.requests.edge", 0.0) < 50
    assert blocked["log_bytes"]["weir.usage"] > 0
    assert standard["loopback_bytes"] > sum(standard["log_bytes"].values())


def test_calls_answered_before_their_run_are_waited_for(rows: dict[str, Row]) -> None:
    [found] = rows["async"].results[LOAD]
    assert found["settled"]
    assert found["total"] >= found["answers"] > 0
    assert found["cpu_us"]["executor"] > 0


def test_internal_publisher_asks_without_the_edge_and_its_own_work_counts(rows: dict[str, Row]) -> None:
    [found] = rows["internal"].results[LOAD]
    assert found["cpu_us"]["client"] > 0
    assert "ingress" not in found["cpu_us"]
    assert found["wrong"] == 0


def test_load_without_an_answer_as_wanted_is_compared_with_nothing(bed: Bed, rows: dict[str, Row]) -> None:
    refused = rows["blocked"]
    other = Row("blocked", "", refused.command, refused.processes, refused.topics, wanted=200)
    other.results[LOAD] = [measure(bed, other, LOAD, 0.3)]
    [found] = other.results[LOAD]
    assert found["failed"]
    assert found["statuses"] == {403: found["answers"]}
    results = Results(machine={}, options={})
    results.take([rows[BARE], other])
    assert results.beside_bare("blocked", str(LOAD)) == {}
