"""What a rate needs, from what was measured."""

from typing import Any

import pytest

from tests.bench.capacity import BUSY, COPIES, RATES, Cost, Model, cells, model, need
from tests.bench.results import NoResults, Results
from tests.support.platform import ROOT

SERVICES = {"ingress": 100.0, "policy": 60.0, "executor": 80.0, "analytics": 10.0}
LOG = {"weir.requests.edge": 1_000.0, "weir.usage": 500.0}


def cost(least: float) -> Cost:
    """Four times as dear where calls are few."""
    return Cost([(300.0, 4 * least), (1_000.0, 2 * least), (4_000.0, least)])


KNOWN = Model(costs={**{name: cost(least) for name, least in SERVICES.items()}, "valkey": cost(18.0),
                     "kafka": cost(30.0)}, log_bytes=LOG)


def test_cost_lies_between_what_was_measured_and_never_below_the_least() -> None:
    found = cost(60.0)
    assert [found.at(rate) for rate in (1, 300, 650, 1_000, 2_500, 4_000, 10**6)] == [240, 240, 180, 120, 90, 60, 60]


def test_no_process_is_busier_than_it_may_be_and_none_is_idle() -> None:
    for rate in (1_000, 10_000, 100_000):
        found = need(KNOWN, rate)
        for name, count in found.processes.items():
            known = KNOWN.costs[name]
            assert known.busy(rate / count) <= BUSY
            # one fewer for each cluster would be too few
            fewer = count - found.clusters
            assert not fewer or known.busy(rate / fewer) > BUSY
            assert found.cores[name] == pytest.approx(count * known.busy(rate / count))


def test_what_one_store_cannot_do_is_divided() -> None:
    assert need(KNOWN, 10_000).clusters == 1
    many = need(KNOWN, 100_000)
    assert many.clusters == 3
    assert all(count % many.clusters == 0 for count in many.processes.values())


def test_bytes_and_partitions_grow_with_the_rate() -> None:
    small, large = need(KNOWN, 1_000), need(KNOWN, 10_000)
    assert (small.written, large.written) == (COPIES * 1_500_000, COPIES * 15_000_000)
    # a day of requests, a week of usage
    assert small.kept == COPIES * 1_000 * (1_000 * 86_400 + 500 * 7 * 86_400)
    assert small.partitions["weir.requests.edge"] == 4
    dear = need(Model(costs={**KNOWN.costs, "policy": Cost([(1_000.0, 900.0)])}, log_bytes=LOG), 10_000)
    assert dear.partitions["weir.requests.edge"] == dear.processes["policy"] == 15


def run(loads: int) -> Results:
    found: list[dict[str, Any]] = [{"rps": 1_000.0 * number, "log_bytes": LOG, "cpu_us": {
        name: known.at(1_000 * number) for name, known in KNOWN.costs.items()}} for number in range(1, loads + 1)]
    return Results(machine={}, options={}, rows={"standard": {str(number): [one] for number, one in enumerate(found)}})


def test_model_comes_from_the_standard_work() -> None:
    found = model(run(4))
    assert found.log_bytes == LOG
    assert found.costs["policy"].at(3_000) == KNOWN.costs["policy"].at(3_000)
    with pytest.raises(NoResults, match="fewer than 3 loads"):
        model(run(2))


def test_page_says_what_the_kept_run_gives() -> None:
    known = model(Results.load(ROOT / "docs/results/standard.json"))
    page = (ROOT / "docs/capacity.md").read_text()
    for rate in RATES:
        assert f"| {' | '.join(cells(need(known, rate)))} |" in page
