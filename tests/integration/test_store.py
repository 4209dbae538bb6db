"""The store's connections, over a restart of the store."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from shared.contracts.execution_result import ExecutionResult
from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store.connection import Argument
from shared.store.redis import Store, StoreUnavailable
from shared.store.results import ResultWriter, get, newest, project_of
from tests.support.platform import Platform, eventually

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
    assert await asyncio.gather(*(store.command("PING") for _ in range(MANY))) == [b"PONG"] * MANY


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


async def test_results_of_many_are_written_together_and_the_last_word_stands(platform: Platform, store: Store,
                                                                             name: str) -> None:
    calls: list[int] = []

    class Counting(Store):
        async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
            calls.append(len(arguments))
            return await super().run(script, keys, arguments)
    counting = Counting(RedisSettings(url=platform.redis_url), patient=True)
    tasks = Tasks()
    writer = ResultWriter(counting, tasks)
    made = [ExecutionResult(id=f"{name}-{number}", operation="o", client="c", state="accepted", accepted=number)
            for number in range(300)]
    await asyncio.gather(*(writer.put(name, one, 60_000) for one in made),
                         *(writer.put(name, msgspec.structs.replace(one, state="running"), 60_000) for one in made))
    found = (await newest(store, name, 1_000)).results
    assert {one.id: one.state for one in found} == {one.id: "running" for one in made}
    assert len(calls) == 3
    await counting.stop()


async def test_result_is_kept_for_as_long_as_it_is_said_and_listed_no_longer(store: Store, name: str) -> None:
    writer = ResultWriter(store, Tasks())
    brief, lasting = (ExecutionResult(id=f"{name}-{keep_ms}", operation="o", client="c", state="succeeded", accepted=1)
                      for keep_ms in (400, 60_000))
    await asyncio.gather(writer.put(name, brief, 400), writer.put(name, lasting, 60_000))
    assert await get(store, name, brief.id) == brief
    await eventually(lambda: gone(store, name, brief.id))
    assert (await project_of(store, brief.id), (await newest(store, name, 10)).results) == (None, [lasting])


async def test_first_end_of_an_execution_stands_unless_it_was_resumed_since(
        store: Store, name: str) -> None:
    writer = ResultWriter(store, Tasks())
    way = ExecutionResult(id=name, operation="o", client="c", state="running", accepted=1, steps=("a",))
    end = msgspec.structs.replace(way, state="succeeded", ended=1_000, body=b'{"a": 1}', status=200)
    later = msgspec.structs.replace(end, state="failed", ended=5_000, status=504)
    again = msgspec.structs.replace(way, resumed=1_001)
    for result, kept in ((way, way), (end, end), (way, end), (later, end),
                         (msgspec.structs.replace(way, resumed=1_000), end), (again, again), (end, end)):
        await writer.put(name, result, 60_000)
        assert await get(store, name, name) == kept


async def gone(store: Store, project: str, execution: str) -> bool:
    return await get(store, project, execution) is None


async def test_result_of_one_client_stands_whatever_another_one_starts_under_its_id(store: Store, name: str) -> None:
    writer = ResultWriter(store, Tasks())
    mine = ExecutionResult(id=name, operation="o", client="c", state="running", accepted=1)
    for project, client in (("p", "c"), ("p", "other"), ("q", "other")):
        await writer.put(f"{name}-{project}", msgspec.structs.replace(mine, client=client), 60_000)
    assert (await get(store, f"{name}-p", name), await project_of(store, name)) == (mine, f"{name}-p")
    found = await get(store, f"{name}-q", name)
    assert found is not None
    assert found.client == "other"


async def test_result_that_cannot_be_written_is_told_to_whoever_has_it(name: str) -> None:
    away = Store(RedisSettings(url="redis://127.0.0.1:1/0"))
    writer = ResultWriter(away, Tasks())
    result = ExecutionResult(id=name, operation="o", client="c", state="accepted", accepted=1)
    told = await asyncio.gather(*(writer.put(name, result, 60_000) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in told] == [StoreUnavailable] * 3
    await away.stop()
