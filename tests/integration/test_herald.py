"""Webhooks hear of signals once, in order, whichever process tells them and whoever does not listen."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.analytics import herald
from services.analytics.abuse_book import AbuseBook
from services.analytics.allowance import Spending
from services.analytics.herald import GIVE_UP_MS, Herald, HeraldParts
from shared.clock import SystemClock
from shared.contracts.config import ProjectVersion
from shared.contracts.signal import Signal
from shared.project.webhook import Webhook
from shared.runtime.addresses import Addresses
from shared.runtime.tasks import Tasks
from shared.runtime.webhooks import Webhooks
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from shared.telemetry.metrics import Metrics
from tests.support.hook import Hook, listening
from tests.support.platform import Platform, eventually

KEY, CLOCK = b"k" * 32, SystemClock()
SECRETS = {"ALERTS": "whsec_" + base64.b64encode(KEY).decode()}


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    """The cluster's store."""
    found = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield found
    await found.stop()


@asynccontextmanager
async def process(store: Store, hooks: dict[str, str], everywhere: str = "",
                  allow: Sequence[str] = ("127.0.0.1/32",)) -> AsyncIterator[Herald]:
    """One that tells; `hooks`: address by project; `allow`: private networks where they may be."""
    book, spending = AbuseBook("observe"), Spending()
    versions = [ProjectVersion(project=project, version=1, files={}, time=0, document={
        "name": project, "abuse": {"webhook": {"url": url, "secret": "ALERTS"}}, "allowance": [
            {"tasks": 9}, {"tasks": 9, "name": "billed", "webhook": {"url": f"{url}?billed", "secret": "ALERTS"}}],
        }) for project, url in hooks.items()]
    book.take(versions)
    spending.take(versions)
    found = Herald(HeraldParts(
        book=book, spending=spending, webhooks=Webhooks(SECRETS, Addresses(allow), CLOCK), store=store, clock=CLOCK,
        tasks=Tasks(), metrics=Metrics(),
        everywhere=Webhook(url=everywhere, secret="ALERTS") if everywhere else None))
    await found.start()
    yield found
    await found.stop()


def signal(project: str, subject: str, **more: object) -> Signal:
    now = CLOCK.now_ms()
    return Signal(**{"project": project, "kind": "client", "subject": subject, "action": "block", "until": now + 60_000,
                     "time": now, "detector": "hammering", **more})


async def test_two_processes_tell_each_signal_once_and_in_order_to_a_webhook_that_refuses_at_first(
        store: Store, name: str) -> None:
    signals = [signal(name, f"c{number}") for number in range(5)]
    async with listening(Hook(KEY, refusals=2)) as hook:
        async with process(store, {name: hook.url}) as one, process(store, {name: hook.url}) as two:
            for each in signals:
                one.hear([each])
                two.hear([each])
            await eventually(lambda: len(hook.taken) == 5, within_s=20)
        # after a restart the topic is read anew
        async with process(store, {name: hook.url}) as again:
            again.hear(signals)
            again.hear([signal(name, "late")])
            await eventually(lambda: len(hook.taken) > 5)
    assert [data["subject"] for data in hook.data] == ["c0", "c1", "c2", "c3", "c4", "late"]
    assert all(event["id"] == told and event["type"] == "weir.signal.v1" for told, event in hook.taken)


async def test_signals_that_have_been_told_do_not_wait_after_a_restart(
        store: Store, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    signals = [signal(name, f"c{number}") for number in range(8)]
    async with listening(Hook(KEY)) as hook:
        async with process(store, {name: hook.url}) as one:
            one.hear(signals[:5])
            await eventually(lambda: len(hook.taken) == 5)
        monkeypatch.setattr(herald, "_MOST_WAITING", 2)
        async with process(store, {name: hook.url}) as again:
            again.hear(signals)
            await eventually(lambda: len(hook.taken) == 7)
    assert [data["subject"] for data in hook.data] == ["c0", "c1", "c2", "c3", "c4", "c6", "c7"]
    assert [record.args for record in caplog.records if "is not told" in record.getMessage()] == [
        (hook.url, "client", "c5", "2 signals wait for it")]


async def test_webhook_that_is_away_holds_up_no_other_one(store: Store, name: str) -> None:
    async with listening(Hook(KEY)) as hook, process(
            store, {name: "http://127.0.0.1:1/hook", f"{name}-b": hook.url}, hook.url) as teller:
        teller.hear([signal(name, "c"), signal(f"{name}-b", "d"), signal("*", "e")])
        await eventually(lambda: len(hook.taken) == 3)
        await asyncio.sleep(0.2)
    # a webhook that is both the project's and everybody's is told once
    assert [data["subject"] for data in hook.data] == ["c", "d", "e"]


async def test_threshold_is_told_to_the_webhook_of_its_allowance_and_to_everybodys(store: Store, name: str) -> None:
    said = [signal(name, label, kind="allowance", action="observe", evidence={"allowance": label})
            for label in ("project", "billed")]
    async with listening(Hook(KEY)) as own, listening(Hook(KEY)) as all_, process(
            store, {name: own.url}, all_.url) as teller:
        teller.hear(said)
        await eventually(lambda: (len(own.taken), len(all_.taken)) == (1, 2))
        await asyncio.sleep(0.2)
    assert [[data["subject"] for data in hook.data] for hook in (own, all_)] == [["billed"], ["project", "billed"]]


async def test_old_signals_and_projects_without_a_webhook_are_not_told(store: Store, name: str) -> None:
    async with listening(Hook(KEY)) as hook, process(store, {name: hook.url}) as teller:
        teller.hear([signal(name, "old", time=CLOCK.now_ms() - GIVE_UP_MS), signal("other", "c"),
                     signal(name, "new")])
        await eventually(lambda: hook.taken)
        await asyncio.sleep(0.2)
    assert [data["subject"] for data in hook.data] == ["new"]


async def test_owner_cannot_make_analytics_post_to_private_addresses(
        store: Store, name: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(Hook(KEY)) as hook, listening(Hook(KEY)) as other, process(
            store, {name: hook.url, f"{name}-n": other.url.replace("127.0.0.1", "localhost")}, allow=()) as teller:
        teller.hear([signal(name, "c"), signal(f"{name}-n", "d")])

        def refused() -> set[str]:
            return {record.project for record in caplog.records if "ALLOW_NETWORKS" in record.getMessage()}
        await eventually(lambda: refused() == {name, f"{name}-n"})
    assert (hook.tried, other.tried) == (0, 0)
