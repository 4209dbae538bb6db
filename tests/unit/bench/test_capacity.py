"""What a rate needs, from what was measured."""

from typing import Any

import pytest

from tests.bench.capacity import BUSY, COPIES, Cost, Model, fit, model, need
from tests.bench.results import NoResults, Results

SERVICES = {"ingress": 100.0, "policy": 60.0, "executor": 80.0, "analytics": 10.0}
LOG = {"weir.requests.edge": 1_000.0, "weir.usage": 500.0}
KNOWN = Model(costs={**{name: Cost(each, 300.0, 0.002) for name, each in SERVICES.items()},
                     "valkey": Cost(18.0, 20.0, 0.002), "kafka": Cost(30.0, 900.0, 0.002)}, log_bytes=LOG)


@pytest.mark.parametrize("true", [Cost(60.0, 300.0, 0.002), Cost(60.0, 0.0, 0.0), Cost(7.0, 800.0, 0.0001)])
def test_cost_is_found_again_from_what_it_gives(true: Cost) -> None:
    found = fit([(rate, true.at(rate)) for rate in (300, 1_000, 2_500, 5_000)])
    for rate in (400, 2_000, 6_000):
        assert found.at(rate) == pytest.approx(true.at(rate), rel=0.05)


def test_cost_is_never_less_than_nothing() -> None:
    found = fit([(100, 10.0), (1_000, 20.0), (5_000, 40.0)])
    assert found.batch == 0
    assert found.each > 0


def test_no_process_is_busier_than_it_may_be_and_none_is_idle() -> None:
    for rate in (1_000, 10_000, 100_000):
        found = need(KNOWN, rate)
        for name, count in found.processes.items():
            cost = KNOWN.costs[name]
            assert cost.busy(rate / count) <= BUSY
            # one fewer for each cluster would be too few
            fewer = count - found.clusters
            assert not fewer or cost.busy(rate / fewer) > BUSY
            assert found.cores[name] == pytest.approx(count * cost.busy(rate / count))


def test_what_one_store_cannot_do_is_divided() -> None:
    assert need(KNOWN, 10_000).clusters == 1
    many = need(KNOWN, 100_000)
    assert many.clusters == 4
    assert all(count % many.clusters == 0 for count in many.processes.values())


def test_bytes_and_partitions_grow_with_the_rate() -> None:
    small, large = need(KNOWN, 1_000), need(KNOWN, 10_000)
    assert (small.written, large.written) == (COPIES * 1_500_000, COPIES * 15_000_000)
    # a day of requests, a week of usage
    assert small.kept == COPIES * 1_000 * (1_000 * 86_400 + 500 * 7 * 86_400)
    assert small.partitions["weir.requests.edge"] == 4
    dear = need(Model(costs={**KNOWN.costs, "policy": Cost(900.0, 0.0, 0.0)}, log_bytes=LOG), 10_000)
    assert dear.partitions["weir.requests.edge"] == dear.processes["policy"] == 15


def run(loads: int) -> Results:
    found: list[dict[str, Any]] = [{"rps": 1_000.0 * number, "log_bytes": LOG, "cpu_us": {
        name: cost.at(1_000 * number) for name, cost in KNOWN.costs.items()}} for number in range(1, loads + 1)]
    return Results(machine={}, options={}, rows={"standard": {str(number): [one] for number, one in enumerate(found)}})


def test_model_comes_from_the_standard_work() -> None:
    found = model(run(4))
    assert found.log_bytes == LOG
    assert found.costs["policy"].at(3_000) == pytest.approx(KNOWN.costs["policy"].at(3_000), rel=0.05)
    with pytest.raises(NoResults, match="fewer than 3 loads"):
        model(run(2))
