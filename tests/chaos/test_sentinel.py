"""The store's primary dies; the Sentinels name another one, and the cluster goes on with it."""

import asyncio

from redis.asyncio import Redis

from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from tests.chaos.test_kill import await_counted, callers_of, counted
from tests.support.platform import Platform, eventually
from tests.support.sentinels import NAME, Sentinels

GREEN_S = 30.0


async def replicated(port: int) -> bool:
    async with Redis(port=port) as store:
        state = await store.info("replication")
        return state["role"] == "master" and state["connected_slaves"] == 2


async def role_of(port: int) -> str:
    async with Redis(port=port) as store:
        assert await store.exists("weir:usage:offsets")
        return str((await store.info("replication"))["role"])


async def test_cluster_goes_on_with_the_new_primary(spread: Platform, stores: Sentinels) -> None:
    primary, *replicas = stores.stores
    await eventually(lambda: replicated(primary), within_s=20)
    async with callers_of(spread) as (load, client):
        await eventually(lambda: counted(spread, client)[200] > 20, within_s=20)
        await asyncio.to_thread(stores.kill, primary)
        before = load.statuses[200]
        await eventually(spread.is_green, within_s=GREEN_S)
        await eventually(lambda: load.statuses[200] > before + 50, within_s=GREEN_S)
        load.over = True
        await await_counted(spread, client, load, GREEN_S)

    async def one_follows() -> bool:
        return sorted([await role_of(port) for port in replicas]) == ["master", "slave"]
    # Sentinels may have failed over twice, where one held the new primary for dead as well: ten seconds later they make
    # a replica of what is none any more
    await eventually(one_follows, within_s=20)


async def test_many_share_a_connection_to_the_primary(spread: Platform, stores: Sentinels) -> None:
    store = Store(RedisSettings(url="redis://nowhere.invalid:1/0", primary=NAME, sentinels=[
        f"127.0.0.1:{port}" for port in stores.sentinels]), patient=True)
    assert await asyncio.gather(*(store.command("PING") for _ in range(50))) == [b"PONG"] * 50
    await store.stop()
