"""Amounts in the real store: the same arithmetic as in memory, exact over instances, and an answer without a store."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from services.policy.counters import Counters
from shared.clock import SystemClock
from shared.decision.amounts import Amounts, Ask
from shared.project.access.budgets import Demand, Kind
from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store.amounts import pack, spend
from shared.store.redis import Store
from shared.telemetry.metrics import Metrics
from tests.support.fakes import StoppedClock
from tests.support.platform import Platform


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    found = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield found
    await found.stop()


def counters(store: Store, **more: Any) -> Counters:
    return Counters(store, SystemClock(), Metrics(), Tasks(), **{"instances": 1, "rest_ms": 1000, **more})


def some_demand(name: str, chance: random.Random, now_ms: int) -> Demand:
    kind = chance.choice([kind for kind in Kind if kind is not Kind.ALLOWANCE])
    width = chance.choice([40, 100, 1000])
    size = chance.choice([0, 3])
    extra = {Kind.BUCKET: size, Kind.PERIOD: now_ms + 5000, Kind.ONCE: now_ms + 60_000}.get(kind, 0)
    limit = 1 if kind is Kind.ONCE else chance.randint(1, 12)
    return Demand(f"weir:test:{name}:{kind}-{width}-{limit}-{size}", kind, limit, width, extra, chance.randint(0, 3),
                  chance.random() < 0.7, "n")


async def test_store_and_memory_reckon_alike(store: Store, name: str) -> None:
    chance, memory = random.Random(name), Amounts()
    now_ms = SystemClock().now_ms()
    until = {str(number): now_ms + chance.randint(0, 500) for number in range(30)}
    refused = 0
    for _ in range(150):
        asks = [Ask(request := str(chance.randint(0, 29)), until[request],
                    [some_demand(name, chance, now_ms) for _ in range(chance.randint(1, 3))]) for _ in range(3)]
        then_us, outcomes = orjson.loads(await store.run("limits", [], [pack(asks), 1]))
        expected = [[list(outcome) for outcome in one] for one in memory.spend(asks, then_us)]
        assert outcomes == expected
        refused += sum(outcome[2] > 0 for one in outcomes for outcome in one)
        await asyncio.sleep(chance.choice([0, 0, 0.005, 0.03]))
    assert refused > 20, "the traffic has to meet its limits"


async def test_store_and_memory_answer_alike_about_what_is_left_of_an_allowance(store: Store, name: str) -> None:
    ends, memory = SystemClock().now_ms() + 3_600_000, Amounts()
    stop, throttle = (Demand(f"weir:test:{name}:{rate}|[\"a|b\"]", Kind.ALLOWANCE, 10, rate, ends, 0, True, "n")
                      for rate in (0, 2))
    fair = Demand(f"weir:test:{name}:fair", Kind.WINDOW, 100, 60_000, 1, 1, True, "n")
    asks = [Ask("r", 0, [fair, demand]) for demand in (stop, throttle, throttle, throttle)]
    for tasks in (0, 3, 6, 1, 1):
        for rate, demand in ((0, stop), (2, throttle)):
            await store.command("HINCRBY", f"weir:test:{name}:{rate}", '["a|b"]', tasks)
            memory.spend([Ask("spent", 0, [Demand(*(demand.key, demand.kind, 10, 0, ends, tasks, False, "n"))])], 0)
        then_us, outcomes = orjson.loads(await store.run("limits", [], [pack(asks), 1]))
        assert outcomes == [[list(outcome) for outcome in one] for one in memory.spend(asks, then_us)]
    # what the allowance refuses spends no limit: of the last four calls one is stopped, and the throttle is spent
    assert [one[1][2] > 0 for one in outcomes] == [True, True, True, True]
    assert [one[0][0] for one in outcomes] == [outcomes[0][0][0]] * 4


async def test_store_says_in_whole_numbers_how_long_to_wait_whatever_a_call_costs(store: Store, name: str) -> None:
    memory, day_ms = Amounts(), 86_400_000
    for extra, cost, limit in ((0, 10**9, 10), (0, 10**9, 1), (10**6, 10**6, 1), (10**12, 10**9, 1),
                               (10**12, 10**12, 1), (10**12, 10**12 + 1, 3), (0, 10**12, 10**12),
                               (10**9, 3 * 10**8 + 1, 7 * 10**11), (0, 10**6, 7 * 10**11)):
        demand = Demand(f"weir:test:{name}:{extra}-{limit}", Kind.BUCKET, limit, 30 * day_ms, extra, cost, True, "n")
        asks = [Ask(str(number), 0, [demand]) for number in range(3)]
        for _ in range(2):
            then_us, outcomes = orjson.loads(await store.run("limits", [], [pack(asks), 1]))
            assert outcomes == [[list(outcome) for outcome in one] for one in memory.spend(asks, then_us)]
            assert all(isinstance(number, int) for one in outcomes for outcome in one for number in outcome)


async def test_store_says_in_whole_numbers_what_is_left_however_often_an_allowance_was_raised(
        store: Store, name: str) -> None:
    ends = SystemClock().now_ms() + 3_600_000
    asks = [Ask("r", 0, [Demand(f"weir:test:{name}|[]", Kind.ALLOWANCE, 10**14 + 1, 0, ends, 1, True, "n")])]
    then_us, outcomes = orjson.loads(await store.run("limits", [], [pack(asks), 1]))
    assert outcomes == [[list(outcome) for outcome in one] for one in Amounts().spend(asks, then_us)]
    assert (await spend(store, asks, SystemClock().now_ms()))[0][0].left == 10**13


async def test_bucket_of_a_limit_that_was_raised_is_full_no_later_than_an_empty_one(store: Store, name: str) -> None:
    memory = Amounts()
    for size, limit, width_ms in ((3, 1, 86_400_000), (5, 60, 60_000), (0, 30, 60_000), (4, 60_000, 60_000)):
        demand = Demand(f"weir:test:{name}", Kind.BUCKET, limit, width_ms, size, 1, True, "n")
        asks = [Ask(str(number), 0, [demand]) for number in range(5)]
        then_us, outcomes = orjson.loads(await store.run("limits", [], [pack(asks), 1]))
        assert outcomes == [[list(outcome) for outcome in one] for one in memory.spend(asks, then_us)]
        assert max(outcome[2] for one in outcomes for outcome in one) <= (size or limit) * width_ms // limit
    await asyncio.sleep(0.01)
    [[outcome], *_] = await spend(store, asks, SystemClock().now_ms())
    assert outcome.wait_ms == 0, "what was too far ahead is ahead no more"


async def test_window_of_a_store_that_was_set_back_is_over_when_it_is_over(store: Store, name: str) -> None:
    memory, key = Amounts(), f"weir:test:{name}"
    demand = Demand(key, Kind.WINDOW, 3, 1_000, 1, 1, True, "n")
    asks = [Ask(str(number), 0, [demand]) for number in range(3)]
    then_us, _ = orjson.loads(await store.run("limits", [], [pack(asks), 1]))
    # as it would be were this an hour later
    [(part, count)] = (await store.hashes([key]))[0].items()
    await store.many([("HDEL", key, part), ("HSET", key, int(part) + 72_000, count), ("PERSIST", key)])
    memory.spend(asks, then_us + 3_600_000_000)
    for _ in range(2):
        then_us, outcomes = orjson.loads(await store.run("limits", [], [pack(asks), 1]))
        assert outcomes == [[list(outcome) for outcome in one] for one in memory.spend(asks, then_us)]
    assert 0 < await store.command("PTTL", key) <= 1_100
    await asyncio.sleep(1.1)
    assert (await spend(store, asks, SystemClock().now_ms()))[0][0].wait_ms == 0


@pytest.mark.parametrize("set_ms", [-3_600_000, 3_600_000], ids=["behind", "ahead"])
async def test_limits_hold_where_the_clock_of_policy_is_not_that_of_the_store(
        store: Store, name: str, set_ms: int) -> None:
    clock = StoppedClock(SystemClock().now_ms())
    clock.set_ms = set_ms
    soon = clock.now_ms() + 5_000
    kept = Counters(store, clock, Metrics(), Tasks(), instances=1, rest_ms=1000)
    for kind, limit, extra in ((Kind.PERIOD, 2, soon), (Kind.CONCURRENT, 2, 0), (Kind.ONCE, 1, soon)):
        demand = Demand(f"weir:test:{name}:{kind}", kind, limit, 60_000, extra, 1, True, "n")
        found = [(await kept.spend([Ask(request, soon, [demand])]))[0][0] for request in "abc"]
        assert [outcome.wait_ms > 0 for outcome in found] == [number >= limit for number in range(3)]
        assert all(0 < outcome.reset_ms <= 5_000 for outcome in found)
        assert await store.command("PTTL", demand.key) <= 66_000


async def test_instances_together_admit_no_more_than_the_limit(platform: Platform, name: str) -> None:
    stores = [Store(RedisSettings(url=platform.redis_url), patient=True) for _ in range(3)]
    demand = Demand(f"weir:test:{name}", Kind.WINDOW, 25, 60_000, 1, 1, True, "n")
    asks = [Ask(str(number), 0, [demand]) for number in range(20)]
    found = await asyncio.gather(*(counters(store).spend(asks) for store in stores for _ in range(4)))
    assert sum(outcome[0].wait_ms == 0 for outcomes in found for outcome in outcomes) == 25
    await asyncio.gather(*(store.stop() for store in stores))


async def test_place_that_is_given_back_is_free_at_once(store: Store, name: str) -> None:
    kept = counters(store)
    demand = Demand(f"weir:test:{name}", Kind.CONCURRENT, 1, 0, 0, 1, True, "n")
    later = SystemClock().now_ms() + 60_000
    first, second = await kept.spend([Ask("a", later, [demand]), Ask("b", later, [demand])])
    assert (first[0].wait_ms, second[0].wait_ms > 0) == (0, True)
    await kept.release("a", [demand.key])
    assert (await kept.spend([Ask("b", later, [demand])]))[0][0].wait_ms == 0


async def test_message_is_free_again_when_its_own_request_gives_it_back(store: Store, name: str) -> None:
    kept, once = counters(store), f"weir:seen:{name}"
    fair = Demand(f"weir:test:{name}", Kind.WINDOW, 6, 60_000, 1, 1, True, "n")
    spent = Demand(f"weir:test:{name}:none", Kind.WINDOW, 1, 60_000, 1, 2, True, "n")
    demand = Demand(once, Kind.ONCE, 1, 0, SystemClock().now_ms() + 60_000, 1, True, "webhook-id")

    async def taken(request_id: str, *more: Demand) -> bool:
        outcome, = await kept.spend([Ask(request_id, 0, [demand, fair, *more])])
        return not any(one.wait_ms for one in outcome)
    assert not await taken("a", spent)
    assert await store.command("GET", once) is None, "a call that a limit refuses takes nothing"
    assert [await taken("a"), await taken("a"), await taken("b")] == [True, True, False]
    await kept.release("b", [], once)
    assert not await taken("b"), "it is another request's"
    await kept.release("a", [], once)
    assert await taken("b")
    await kept.release("a", [], once)
    assert await store.command("GET", once) == b"b", "who ends late frees nobody else's"
    assert not await taken("a")


async def test_without_a_store_each_instance_admits_its_share_and_says_so() -> None:
    away, metrics = Store(RedisSettings(url="redis://127.0.0.1:9/0")), Metrics()
    kept = Counters(away, SystemClock(), metrics, Tasks(), instances=3, rest_ms=60_000)
    demand = Demand("k", Kind.WINDOW, 9, 60_000, 1, 1, True, "n")
    found = [outcome for number in range(6) for outcome in await kept.spend([Ask(str(number), 0, [demand])])]
    assert [outcome[0].wait_ms == 0 for outcome in found] == [True, True, True, False, False, False]
    assert b"weir_limits_local_total 6.0" in metrics.text()[0]
    await kept.release("a", ["k"], "weir:seen:p:m")
    await away.stop()
