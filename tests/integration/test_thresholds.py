"""Thresholds of allowances on the real store and broker: said once, after a kill too, anew when an amount changes."""

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web

from services.analytics.allowance import Spending
from services.analytics.fold import Known, Placed, fold
from services.analytics.ledger import Ledger
from services.analytics.thresholds import OnTopic, Teller, Thresholds, ToWebhook
from shared.clock import SystemClock
from shared.contracts.config import Adjustment, Entity, ProjectVersion
from shared.contracts.usage import Envelope
from shared.decision.allowances import compile_allowances
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.project.model import Project
from shared.runtime.tasks import Tasks
from shared.runtime.webhooks import NotTaken, Webhooks
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from tests.support.platform import Platform, eventually
from tests.support.topics import records
from tests.support.usage import event

CLOCK = SystemClock()


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    found = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield found
    await found.stop()


def project(name: str, tasks: int = 100, **more: Any) -> ProjectVersion:
    document = {"name": name, "allowance": [{"tasks": tasks, "by": ["client"], **more}]}
    return ProjectVersion(project=name, version=tasks, files={}, time=0,
                          document=Project.model_validate(document).to_document())


class Process:
    """What an analytics process does with usage, without its topic."""

    def __init__(self, store: Store, teller: Teller, entities: Sequence[Entity]) -> None:
        self.tasks, self.spending = Tasks(), Spending()
        self.thresholds = Thresholds(store, CLOCK, self.tasks, self.spending, teller)
        self.take(entities)
        self.ledger = Ledger(store, CLOCK, 1, [self.spending.additions])

    def take(self, entities: Sequence[Entity]) -> None:
        self.thresholds.changed(self.spending.take(entities))

    async def count(self, name: str, offset: int, client: str, tasks: int) -> None:
        """Count one request."""
        one = event(offset, time=CLOCK.now_ms(), project=name, client=client, tasks=tasks, origin=f"{name}/0/{offset}")
        entry = await self.ledger.enter([Placed(hash(name) % 10**9 + 2_000, offset, Envelope(
            producer=name, sequence=offset, events=(one,)))])
        self.thresholds.listen(entry.folded)


@asynccontextmanager
async def process(store: Store, teller: Teller, *entities: Entity) -> AsyncIterator[Process]:
    made = Process(store, teller, entities)
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
    async with process(store, OnTopic(outbox), project(name)) as counting:
        for offset in range(8):
            await counting.count(name, offset, "c", 10)
        await now_said(first)
        await counting.count(name, 8, "c", 9)
        await counting.count(name, 9, "c", 30)
        await now_said(first, second)
        await counting.count(name, 10, "d/e", 99)
        await now_said(first, second, third)
    # counted, and the process was killed before it looked
    killed = Process(store, OnTopic(outbox), [project(name)])
    await killed.count(name, 11, "f", 100)
    async with process(store, OnTopic(outbox), project(name)) as counting:
        fourth = ("client/f", 100, 100)
        await now_said(first, second, third, fourth)
        start = compile_allowances(Project.model_validate(project(name).document))[0].calendar.at(CLOCK.now_ms())[0]
        counting.take([Adjustment(project=name, name="client", start=start, time=0, raised={'["c"]': 50})])
        # 119 of 150 are not yet 80 %
        await counting.count(name, 12, "c", 2)
        await now_said(first, second, third, fourth, ("client/c", 80, 150))
        counting.take([project(name, 104)])
        await now_said(first, second, third, fourth, ("client/c", 80, 150), *sorted(
            [("client/d/e", 80, 104), ("client/f", 80, 104)]))


async def test_one_of_several_processes_says_it(
        platform: Platform, store: Store, outbox: Outbox, name: str) -> None:
    processes = [Process(store, OnTopic(outbox), [project(name)]) for _ in range(4)]
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
    looked = Process(away, OnTopic(outbox), [project(name)])
    await looked.thresholds.start()
    one = event(1, time=CLOCK.now_ms(), project=name, client="c", tasks=100)
    looked.thresholds.listen(fold([Placed(0, 0, Envelope(producer=name, sequence=0, events=(one,)))], Known()))
    await asyncio.sleep(0.3)
    here = Store(RedisSettings(url=platform.redis_url), patient=True)
    counted = Process(here, OnTopic(outbox), [project(name)])
    await counted.count(name, 1, "c", 100)
    looked.thresholds._store = here

    async def found() -> bool:
        return await said(platform, name) == [("client/c", 100, 100)]
    await eventually(found)
    await looked.thresholds.stop()
    await asyncio.gather(away.stop(), here.stop())


SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Hook:
    """Takes messages after so many refusals; `taken` are those whose signature fits."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.tried, self.taken = refusals, 0, list[tuple[str, Any]]()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tried += 1
        if self.tried <= self.refusals:
            return web.Response(status=503)
        name, told = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        signature = hmac.digest(b"k" * 32, f"{name}.{told}.".encode() + body, "sha256")
        assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(signature).decode()}"
        assert abs(int(told) - CLOCK.now_ms() / 1000) < 60
        self.taken.append((name, orjson.loads(body)))
        return web.Response()


async def test_webhook_hears_each_threshold_until_it_takes_it(store: Store, name: str) -> None:
    hook = Hook(refusals=2)
    application = web.Application()
    application.router.add_post("/hook", hook.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    wanted = project(name, webhook={"url": f"http://127.0.0.1:{port}/hook", "secret": "BILLING"})
    webhooks = Webhooks({"BILLING": SECRET}, CLOCK)
    async with process(store, ToWebhook(webhooks), wanted) as counting:
        await counting.count(name, 0, "c", 85)
        await eventually(lambda: hook.taken)
        await counting.count(name, 1, "c", 10)
        await counting.count(name, 2, "c", 5)
        await eventually(lambda: len(hook.taken) == 2)
    # nothing is said again after a restart
    async with process(store, ToWebhook(webhooks), wanted) as counting:
        await counting.count(name, 3, "c", 1)
        await asyncio.sleep(0.5)
    assert [(event["type"], event["subject"], event["source"], event["data"]["evidence"]["threshold"])
            for _, event in hook.taken] == [("weir.signal.v1", "allowance/client/c", f"/weir/{name}", percent)
                                            for percent in (80, 100)]
    assert all(event["id"] == told for told, event in hook.taken)
    assert hook.tried == 4
    await webhooks.start()
    with pytest.raises(NotTaken, match="WEIR_SECRET_NONE"):
        await webhooks.post(f"http://127.0.0.1:{port}/hook", "NONE", "msg_1", b"{}")
    await asyncio.gather(webhooks.stop(), runner.cleanup())
