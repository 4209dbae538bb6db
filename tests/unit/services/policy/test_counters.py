"""Amounts while the store is away: what an instance lets in by itself."""

from services.policy.counters import Counters
from shared.decision.amounts import Ask
from shared.project.access.budgets import Demand, Kind
from shared.telemetry.metrics import Metrics
from tests.support.fakes import StoppedClock
from tests.unit.services.executor.test_run import nowhere


async def test_place_of_a_call_that_is_not_going_to_run_is_free_again_without_the_store() -> None:
    clock = StoppedClock()
    kept = Counters(nowhere(), clock, Metrics(), instances=3, rest_ms=60_000)
    demand = Demand("k", Kind.CONCURRENT, 3, 0, 0, 1, True, "n")
    asks = [Ask(request_id, clock.now_ms() + 300_000, [demand]) for request_id in "ab"]
    assert [outcome.wait_ms for outcome, in await kept.spend(asks)] == [0, 1000]
    await kept.release("a", ["k"])
    assert (await kept.spend(asks[1:]))[0][0].wait_ms == 0
