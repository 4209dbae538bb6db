"""Amounts while the store is away: what an instance lets in by itself."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.policy.counters import Counters
from shared.decision.amounts import Ask
from shared.names.metrics import LIMITS_LOCAL
from shared.project.access.budgets import Demand, Kind
from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store.connection import Argument
from shared.store.redis import Store, StoreUnavailable
from shared.telemetry.metrics import Metrics
from tests.support.fakes import StoppedClock
from tests.unit.services.executor.test_run import nowhere


@pytest.mark.parametrize("demand", [
    Demand("k", Kind.WINDOW, 20, 60_000, 1, 1, True, "n"), Demand("k", Kind.BUCKET, 60, 60_000, 20, 1, True, "n"),
    Demand("k", Kind.CONCURRENT, 20, 0, 0, 1, True, "n")], ids=lambda demand: demand.kind.name)
async def test_instances_without_a_store_admit_together_no_more_at_once_than_with_one(demand: Demand) -> None:
    clock, let_in = StoppedClock(), 0
    for _ in range(3):
        kept = Counters(nowhere(), clock, Metrics(), Tasks(), instances=3, rest_ms=60_000)
        asks = [Ask(str(number), clock.now_ms() + 300_000, [demand]) for number in range(60)]
        let_in += sum(outcome.wait_ms == 0 for outcome, in await kept.spend(asks))
    assert let_in == 18, "a third of 20 each"


async def test_instance_without_a_store_says_how_many_calls_it_decides_alone_and_goes_by_the_clock() -> None:
    clock, metrics = StoppedClock(), Metrics()
    kept = Counters(nowhere(), clock, metrics, Tasks(), instances=1, rest_ms=60_000)
    asks = [Ask(name, 0, [Demand("k", Kind.WINDOW, 1, 60_000, 1, 1, True, "n")]) for name in "ab"]
    let_in = []
    for later_ms in (0, 59_000, 4_000):
        clock.now += later_ms
        let_in.append([outcome.wait_ms == 0 for outcome, in await kept.spend(asks)])
    assert let_in == [[True, False], [False, False], [True, False]]
    assert metrics.registry.get_sample_value(f"{LIMITS_LOCAL.name}_total") == 6


async def test_place_of_a_call_that_is_not_going_to_run_is_free_again_without_the_store() -> None:
    clock, tasks = StoppedClock(), Tasks()
    kept = Counters(nowhere(), clock, Metrics(), tasks, instances=3, rest_ms=60_000)
    demand = Demand("k", Kind.CONCURRENT, 3, 0, 0, 1, True, "n")
    asks = [Ask(request_id, clock.now_ms() + 300_000, [demand]) for request_id in "ab"]
    assert [outcome.wait_ms for outcome, in await kept.spend(asks)] == [0, 1000]
    await kept.release("a", ["k"], "weir:seen:p:m")
    assert (await kept.spend(asks[1:]))[0][0].wait_ms == 0
    await tasks.stop()


async def test_message_is_given_back_though_the_store_is_late_to_say_that_a_place_is_free() -> None:
    class Late(Store):
        def __init__(self) -> None:
            super().__init__(RedisSettings())
            self.asked: list[str] = []

        async def many(self, commands: Sequence[Sequence[Argument]], *, atomic: bool = False) -> list[Any]:
            self.asked += [str(key) for _, key, _ in commands]
            raise StoreUnavailable("late")

        async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
            self.asked.append(str(arguments[0]))

    store, tasks = Late(), Tasks()
    kept = Counters(store, StoppedClock(), Metrics(), tasks, instances=1, rest_ms=1)
    await kept.release("a", ["k", "l"], "weir:seen:p:m")
    assert store.asked == ["k", "l", "weir:seen:p:m"]
    await tasks.stop()
