"""The store's connections, over a restart of the store."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from tests.support.platform import Platform

MANY = 8


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    found = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield found
    await found.stop()


async def test_connections_that_the_store_has_closed_fail_nobody(platform: Platform, store: Store) -> None:
    await asyncio.gather(*(store.command("CLIENT", "SETNAME", "to-be-closed") for _ in range(MANY)))
    other = Store(RedisSettings(url=platform.redis_url), patient=True)
    listed = str(await other.command("CLIENT", "LIST"))
    named = [line for line in listed.replace("\\n", "\n").splitlines() if "name=to-be-closed" in line]
    assert named
    for line in named:
        await other.command("CLIENT", "KILL", "ID", line.split("id=")[1].split()[0])
    await other.stop()
    await asyncio.sleep(0.2)
    assert await asyncio.gather(*(store.command("PING") for _ in range(MANY))) == [True] * MANY


async def test_whoever_is_cancelled_while_the_store_is_asked_ends(store: Store) -> None:
    await store.ping()
    for turns in range(400):
        asking = asyncio.create_task(store.ping())
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        if asking.cancel():
            with pytest.raises(asyncio.CancelledError):
                await asking


async def test_whoever_was_cancelled_before_may_still_ask(store: Store) -> None:
    async def ends_well() -> bool:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await store.ping()
            return True
        return False
    ending = asyncio.create_task(ends_well())
    await asyncio.sleep(0)
    ending.cancel()
    assert await ending
