"""Counters and offsets on the real store: any splitting, repeating and killing gives the same counts."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from services.analytics.fold import Placed
from services.analytics.ledger import OFFSETS, PRODUCERS, Addition, Ledger, LedgerWentBack
from services.analytics.stream import gaps
from shared.clock import SystemClock
from shared.contracts.query import UsageQuery
from shared.contracts.usage import Envelope, UsageEvent
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from shared.usage import buckets
from shared.usage.counters import Counters, Fields, State
from shared.usage.dimensions import Dimensions, read_field
from shared.usage.measures import Measures, stored, total
from shared.usage.queries import Queries
from tests.support.fakes import StoppedClock
from tests.support.platform import Platform
from tests.support.usage import event

TIME = SystemClock().now_ms() - 3_600_000


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    """The cluster's store."""
    found = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield found
    await found.stop()


@pytest.fixture
def ledger(store: Store) -> Ledger:
    """A ledger; partitions above 1000 are the tests' own."""
    return Ledger(store, SystemClock(), 1)


def usage(project: str, number: int, *, origin: bool = True, **more: object) -> UsageEvent:
    return event(number, time=TIME, project=project, operation=f'o"{number % 3}|', tasks=number,
                 origin=f"{project}/0/{number}" if origin else None, **more)


def envelope(producer: str, sequence: int, events: Sequence[UsageEvent]) -> Envelope:
    return Envelope(producer=producer, sequence=sequence, events=tuple(events))


async def counters(store: Store, project: str, *spans: tuple[buckets.Grain, int]) -> dict[Dimensions, Measures]:
    found: dict[Dimensions, Measures] = {}
    read = Counters(store)
    states = await read.states([(project, span) for span in spans or buckets.cover(TIME, TIME + 1)])
    async for _, fields in read.read(states):
        for name, value in fields.items():
            found.setdefault(read_field(name), Measures(slots={})).add(stored(value))
    return found


async def sums(store: Store, project: str) -> Measures:
    return total((await counters(store, project)).values())


async def test_events_are_counted_once_however_they_are_split_and_repeated(ledger: Ledger, store: Store,
                                                                           name: str) -> None:
    chance = random.Random(7)
    events = [usage(name, number) for number in range(200)]
    sent = events + chance.choices(events, k=150)
    chance.shuffle(sent)
    partition, offset = chance.randrange(1_000, 10**9), 0
    while sent:
        cut = chance.randrange(1, 20)
        part, sent = sent[:cut], sent[cut:]
        batch = [Placed(partition, offset, envelope(name, offset, part))]
        entry = await ledger.enter(batch)
        assert len(entry.folded.requests) + entry.folded.repeated_events == len(part)
        if chance.random() < 0.3:
            again = await ledger.enter(batch)
            assert (again.folded.requests, again.before) == ([], {partition: offset})
        offset += 1
    found = await sums(store, name)
    assert (found.requests, found.tasks, found.bytes_in, found.bytes_out) == (200, sum(range(200)), 200, 400)
    assert found.micros == 200_000
    assert sum(found.histogram.values()) == 200


async def test_two_processes_that_hold_the_same_envelopes_count_them_once(ledger: Ledger, store: Store,
                                                                          name: str) -> None:
    """As when a partition moves while its former owner still writes."""
    partition = random.randrange(1_000, 10**9)
    batch = [Placed(partition, offset, envelope(name, offset, [
        usage(name, offset * 10 + number, origin=number % 2 == 0) for number in range(10)])) for offset in range(40)]
    # both begin where the ledger was, and get differently far
    parts = (batch[:30], batch, batch[:25])
    entries = await asyncio.gather(*(ledger.enter(part) for part in parts * 3))
    assert sum(len(entry.folded.requests) for entry in entries) == 400
    assert (await sums(store, name)).requests == 400


async def test_replayed_envelope_of_edge_events_counts_nothing(ledger: Ledger, store: Store, name: str) -> None:
    partition = random.randrange(1_000, 10**9)
    batch = [Placed(partition, 9, envelope(name, 0, [usage(name, number, origin=False) for number in range(5)]))]
    assert len((await ledger.enter(batch)).folded.requests) == 5
    assert not (await ledger.enter(batch)).folded.requests
    moved = [batch[0]._replace(offset=12)]
    assert (await ledger.enter(moved)).folded.repeated_envelopes == 1
    assert (await sums(store, name)).requests == 5
    assert (await ledger.offsets())[partition] == 12


async def test_producer_that_was_quiet_for_long_has_lost_nothing_when_it_goes_on(
        ledger: Ledger, store: Store, name: str) -> None:
    partition = random.randrange(1_000, 10**9)
    await ledger.enter([Placed(partition, 0, envelope(name, 0, [usage(name, 1)]))])
    later = Ledger(store, StoppedClock(SystemClock().now_ms() + 9 * 86_400_000), 1)
    await later.enter([Placed(partition, 1, envelope(f"{name}-other", 0, [usage(name, 2)]))])
    key = f"weir:producer:{name}".encode()
    assert key not in await store.command("ZRANGE", PRODUCERS, 0, -1)
    assert await store.command("TTL", key) > 9 * 86_400
    await later.enter([Placed(partition, 2, envelope(name, 1, [usage(name, 3)]))])
    assert key in await store.command("ZRANGE", PRODUCERS, 0, -1)
    assert key not in await gaps(store)


async def test_what_was_counted_of_a_topic_that_is_no_more_does_not_stand_for_another_one(
        ledger: Ledger, store: Store, name: str) -> None:
    partition, other = random.sample(range(1_000, 10**9), 2)
    first = [usage(name, number) for number in range(3)]
    await ledger.enter([Placed(partition, 70, envelope(name, 0, first)), Placed(other, 1, None)])
    await ledger.begin_anew([partition])
    assert (partition in await ledger.offsets(), (await ledger.offsets())[other]) == (False, 1)
    again = [Placed(partition, 0, envelope(name, 0, first)), Placed(partition, 1, envelope(name, 1, first))]
    entry = await ledger.enter(again)
    assert (entry.folded.repeated_envelopes, len(entry.folded.requests)) == (1, 3)


async def test_store_that_went_back_gets_nothing_that_comes_after(ledger: Ledger, store: Store, name: str) -> None:
    partition = random.randrange(1_000, 10**9)
    later = [Placed(partition, 8, envelope(name, 1, [usage(name, 2)]))]
    await ledger.enter([Placed(partition, 7, envelope(name, 0, [usage(name, 1)]))])
    await store.command("HSET", OFFSETS, partition, 3)
    with pytest.raises(LedgerWentBack):
        await ledger.enter(later, {partition: 7})
    assert (await ledger.offsets())[partition] == 3
    assert (await sums(store, name)).requests == 1
    assert len((await ledger.enter(later, {partition: 3})).folded.requests) == 1


async def test_odd_names_stay_apart(ledger: Ledger, store: Store, name: str) -> None:
    part = [usage(name, number) for number in range(3)]
    await ledger.enter([Placed(random.randrange(1_000, 10**9), 0, envelope(name, 0, part))])
    found = await counters(store, name)
    assert {key.operation for key in found} == {'o"0|', 'o"1|', 'o"2|'}


async def test_every_grain_has_the_same_sum(ledger: Ledger, store: Store, name: str) -> None:
    partition = random.randrange(1_000, 10**9)
    for offset in range(3):
        part = [usage(name, offset * 7 + number) for number in range(7)]
        await ledger.enter([Placed(partition, offset, envelope(name, offset, part))])
    for grain in buckets.GRAINS:
        found = await counters(store, name, (grain, grain.index(TIME)))
        assert sum(measures.requests for measures in found.values()) == 21
        assert sum(sum(measures.histogram.values()) for measures in found.values()) == 21


async def test_contributions_are_added_with_the_counters_and_once(store: Store, name: str) -> None:
    expires_s = TIME // 1000 + 86_400

    def spent(events: Sequence[UsageEvent]) -> list[Addition]:
        return [Addition(f"test:{name}", one.client, one.tasks, expires_s) for one in events] + [
            Addition(f"test:{name}:all", "", len(events), expires_s)]
    ledger = Ledger(store, SystemClock(), 1, [spent])
    partition = random.randrange(1_000, 10**9)
    for offset in range(3):
        part = [usage(name, number) for number in range(offset + 3)]
        await ledger.enter([Placed(partition, offset, envelope(name, offset, part))])
    assert int(await store.command("HGET", f"test:{name}", "c")) == 0 + 1 + 2 + 3 + 4
    assert int(await store.command("GET", f"test:{name}:all")) == 5
    assert 0 < int(await store.command("TTL", f"test:{name}:all")) <= 86_400


async def test_more_different_counters_than_lua_can_hold_at_once_are_added(ledger: Ledger, store: Store,
                                                                           name: str) -> None:
    part = [usage(name, number, client=f"c{number}") for number in range(5_000)]
    partition = random.randrange(1_000, 10**9)
    batch = [Placed(partition, offset, envelope(name, offset, part[start:start + 2_500]))
             for offset, start in enumerate((0, 2_500))]
    assert (await ledger.enter(batch)).folded.records == 1
    assert (await ledger.enter(batch[1:])).folded.records == 1
    assert len(await counters(store, name)) == 5_000


async def test_question_about_the_past_is_answered_from_memory_until_something_comes_late(ledger: Ledger, store: Store,
                                                                                         name: str) -> None:
    reads: list[int] = []

    class Watched(Counters):
        async def read(self, states: Sequence[State]) -> AsyncIterator[tuple[State, Fields]]:
            reads.append(len(states))
            async for found in super().read(states):
                yield found

    queries = Queries(Watched(store), SystemClock(), lambda: [name], 1_000)
    asked = UsageQuery(project=name, since_ms=TIME - 60_000, until_ms=TIME + 60_000)

    async def requests(query: UsageQuery = asked) -> int:
        reads.clear()
        return int(msgspec.json.decode(await queries.answer(query))["total"]["requests"])
    partition = 10**9 + 1
    await ledger.enter([Placed(partition, 1, envelope(name, 0, [usage(name, number) for number in range(20)]))])
    assert (await requests(), sum(reads)) == (20, 1)
    assert (await requests(), sum(reads)) == (20, 0)
    assert (await requests(msgspec.structs.replace(asked, where={"operation": ['o"0|']})), sum(reads)) == (7, 1)
    await ledger.enter([Placed(partition, 2, envelope(name, 1, [usage(name, number) for number in range(15, 25)]))])
    assert (await requests(), sum(reads)) == (25, 1)
    assert (await requests(), sum(reads)) == (25, 0)
