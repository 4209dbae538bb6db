"""Thresholds of allowances on the real store and broker: said once, after a kill too, anew when an amount changes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import orjson
import pytest

from services.analytics.allowance import Spending
from services.analytics.fold import Known, Placed, fold
from services.analytics.ledger import Ledger
from services.analytics.thresholds import Thresholds
from shared.clock import SystemClock
from shared.contracts.config import Adjustment, Entity, ProjectVersion
from shared.contracts.usage import Envelope
from shared.decision.allowances import compile_allowances
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.project.model import Project
from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from tests.support.fakes import StoppedClock
from tests.support.platform import Platform, eventually
from tests.support.topics import records
from tests.support.usage import event

CLOCK = SystemClock()


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    found = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield found
    await found.stop()


def project(name: str, tasks: int = 100) -> ProjectVersion:
    document = {"name": name, "allowance": [{"tasks": tasks, "by": ["client"]}]}
    return ProjectVersion(project=name, version=tasks, files={}, time=0,
                          document=Project.model_validate(document).to_document())


class Process:
    """What an analytics process does with usage, without its topic."""

    def __init__(self, store: Store, outbox: Outbox, entities: Sequence[Entity]) -> None:
        self.tasks, spending = Tasks(), Spending()
        self.thresholds = Thresholds(store, outbox, CLOCK, self.tasks, spending)
        self.thresholds.take(entities)
        self.ledger = Ledger(store, CLOCK, 1, [spending.additions])

    async def count(self, name: str, offset: int, client: str, tasks: int) -> None:
        """Count one request."""
        one = event(offset, time=CLOCK.now_ms(), project=name, client=client, tasks=tasks, origin=f"{name}/0/{offset}")
        entry = await self.ledger.enter([Placed(hash(name) % 10**9 + 2_000, offset, Envelope(
            producer=name, sequence=offset, events=(one,)))])
        self.thresholds.listen(entry.folded)


@asynccontextmanager
async def process(store: Store, outbox: Outbox, *entities: Entity) -> AsyncIterator[Process]:
    made = Process(store, outbox, entities)
    await made.thresholds.start()
    yield made
    await made.thresholds.stop()


async def said(platform: Platform, name: str) -> list[tuple[str, int, int]]:
    """Subject, threshold and tasks of the amount of each signal, in order."""
    found = [orjson.loads(record.split(b"\n")[1]) for record in await records(platform, topics.SIGNALS)
             if record.startswith(f"{name}/allowance/".encode())]
    return [(one["subject"], one["evidence"]["threshold"], one["evidence"]["tasks"]) for one in found]


async def test_threshold_is_said_once_and_anew_when_the_amount_changes(
        platform: Platform, store: Store, outbox: Outbox, name: str) -> None:
    async def now_said(*expected: tuple[str, int, int]) -> None:
        async def found() -> bool:
            return await said(platform, name) == list(expected)
        await eventually(found)
    first, second, third = ("client/c", 80, 100), ("client/c", 100, 100), ("client/d/e", 80, 100)
    async with process(store, outbox, project(name)) as counting:
        for offset in range(8):
            await counting.count(name, offset, "c", 10)
        await now_said(first)
        await counting.count(name, 8, "c", 9)
        await counting.count(name, 9, "c", 30)
        await now_said(first, second)
        await counting.count(name, 10, "d/e", 99)
        await now_said(first, second, third)
    # counted, and the process was killed before it looked
    killed = Process(store, outbox, [project(name)])
    await killed.count(name, 11, "f", 100)
    async with process(store, outbox, project(name)) as counting:
        fourth = ("client/f", 100, 100)
        await now_said(first, second, third, fourth)
        start = compile_allowances(Project.model_validate(project(name).document))[0].calendar.at(CLOCK.now_ms())[0]
        counting.thresholds.take([Adjustment(project=name, name="client", start=start, time=0, raised={'["c"]': 50})])
        # 119 of 150 are not yet 80 %
        await counting.count(name, 12, "c", 2)
        await now_said(first, second, third, fourth, ("client/c", 80, 150))
        counting.thresholds.take([project(name, 104)])
        await now_said(first, second, third, fourth, ("client/c", 80, 150), *sorted(
            [("client/d/e", 80, 104), ("client/f", 80, 104)]))


@pytest.mark.parametrize(("late_ms", "expected"), [(60_000, [("client/c", 100, 100)]), (3_600_000, [])])
async def test_what_was_spent_as_a_period_ended_is_said_after_its_end_but_not_for_long(
        platform: Platform, store: Store, outbox: Outbox, name: str, late_ms: int,
        expected: list[tuple[str, int, int]]) -> None:
    end = compile_allowances(Project.model_validate(project(name).document))[0].calendar.at(CLOCK.now_ms())[1]
    counting = Process(store, outbox, [project(name)])
    counting.thresholds._clock = StoppedClock(end + late_ms)
    await counting.count(name, 0, "c", 100)
    await counting.thresholds.start()
    await asyncio.sleep(1)
    await counting.thresholds.stop()
    assert await said(platform, name) == expected


async def test_one_of_several_processes_says_it(
        platform: Platform, store: Store, outbox: Outbox, name: str) -> None:
    processes = [Process(store, outbox, [project(name)]) for _ in range(4)]
    await processes[0].count(name, 0, "c", 90)
    for one in processes:
        await one.thresholds.start()

    async def found() -> bool:
        return bool(await said(platform, name))
    await eventually(found)
    # those that were not the first have looked again by then
    await asyncio.sleep(1.5)
    assert await said(platform, name) == [("client/c", 80, 100)]
    await asyncio.gather(*(one.thresholds.stop() for one in processes))


async def test_what_cannot_be_looked_up_is_looked_up_later(outbox: Outbox, platform: Platform, name: str) -> None:
    away = Store(RedisSettings(url="redis://127.0.0.1:9/0"))
    looked = Process(away, outbox, [project(name)])
    await looked.thresholds.start()
    one = event(1, time=CLOCK.now_ms(), project=name, client="c", tasks=100)
    looked.thresholds.listen(fold([Placed(0, 0, Envelope(producer=name, sequence=0, events=(one,)))], Known()))
    await asyncio.sleep(0.3)
    here = Store(RedisSettings(url=platform.redis_url), patient=True)
    counted = Process(here, outbox, [project(name)])
    await counted.count(name, 1, "c", 100)
    looked.thresholds._store = here

    async def found() -> bool:
        return await said(platform, name) == [("client/c", 100, 100)]
    await eventually(found)
    await looked.thresholds.stop()
    await asyncio.gather(away.stop(), here.stop())
