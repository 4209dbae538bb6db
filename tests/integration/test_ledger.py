"""Counters and offsets on the real store: any splitting, repeating and killing gives the same counts."""

import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from services.analytics import buckets
from services.analytics.fold import fold
from services.analytics.ledger import Ledger
from shared.contracts.usage import UsageEvent
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from tests.support.platform import Platform

TIME = 1_700_000_000_000


@pytest.fixture
async def ledger(platform: Platform) -> AsyncIterator[Ledger]:
    """A ledger on the cluster's store; partitions above 1000 are the tests' own."""
    store = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield Ledger(store, 1)
    await store.stop()


def event(project: str, number: int, *, origin: bool = True) -> UsageEvent:
    return UsageEvent(kind="request", id=str(number), time=TIME, project=project, operation=f'o"{number % 3}|',
                      client="c", source="edge", status=200, reason="ok", tasks=number, bytes_in=1, bytes_out=2,
                      origin=f"{project}/0/{number}" if origin else None)


async def sums(ledger: Ledger, project: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for measures in (await ledger.sums(project, buckets.cover(TIME, TIME + 1))).values():
        total.update(measures)
    return total


async def test_events_are_counted_once_however_they_are_split_and_repeated(ledger: Ledger, name: str) -> None:
    chance = random.Random(7)
    events = [event(name, number) for number in range(200)]
    sent = events + chance.choices(events, k=150)
    chance.shuffle(sent)
    partition, offset = chance.randrange(1_000, 10**9), 0
    while sent:
        cut = chance.randrange(1, 20)
        envelope, sent = sent[:cut], sent[cut:]
        entry = await ledger.enter(partition, offset, fold(envelope))
        assert entry.counted + entry.repeated == len(envelope)
        if chance.random() < 0.3:
            again = await ledger.enter(partition, offset, fold(envelope))
            assert (again.counted, again.repeated) == (0, 0)
        offset += 1
    total = await sums(ledger, name)
    assert total == Counter(requests=200, tasks=sum(range(200)), bytes_in=200, bytes_out=400)


async def test_replayed_envelope_of_edge_events_counts_nothing(ledger: Ledger, name: str) -> None:
    partition = random.randrange(1_000, 10**9)
    work = fold([event(name, number, origin=False) for number in range(5)])
    assert (await ledger.enter(partition, 9, work)).counted == 5
    assert (await ledger.enter(partition, 9, work)).counted == 0
    assert (await ledger.enter(partition, 3, work)).before == 9
    assert (await sums(ledger, name))["requests"] == 5
    assert (await ledger.offsets())[partition] == 9


async def test_odd_names_stay_apart(ledger: Ledger, name: str) -> None:
    await ledger.enter(random.randrange(1_000, 10**9), 0, fold([event(name, number) for number in range(3)]))
    found = await ledger.sums(name, buckets.cover(TIME, TIME + 1))
    assert {key[0] for key in found} == {'o"0|', 'o"1|', 'o"2|'}


async def test_every_grain_has_the_same_sum(ledger: Ledger, name: str) -> None:
    await ledger.enter(random.randrange(1_000, 10**9), 0, fold([event(name, number) for number in range(7)]))
    day = TIME // buckets.DAY_MS * buckets.DAY_MS
    for grain in buckets.GRAINS:
        start = TIME // grain.size_ms * grain.size_ms
        found = await ledger.sums(name, [(grain, start)])
        assert sum(measures["requests"] for measures in found.values()) == 7
    assert [grain.letter for grain, _ in buckets.cover(day, day + buckets.DAY_MS)] == ["d"]
