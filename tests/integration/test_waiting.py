"""Many executions that wait, and many that are to end, on a store of their own."""

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.store.cancels import cancel, cancelled
from shared.store.redis import Store
from shared.store.waiting import done, due, wake, wake_all
from tests.support.stores import running

MANY, FAR_MS = 10_000, 4_000_000_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with running(tmp_path) as made:
        yield made


async def test_execution_that_goes_on_already_is_woken_no_second_time(store: Store) -> None:
    for one in ("e1", "e2"):
        await store.run("waiting", [], ["park", one, b"record", FAR_MS if one == "e2" else 1, "p"])
    lease, found = await due(store, 1, 10)
    assert list(found) == ["e1"]
    assert await wake(store, "e1", 1)
    assert await wake_all(store, "p") == 1
    await done(store, "e1", "p", lease)
    assert await store.command("ZRANGE", "weir:waiting", 0, -1) == [b"e2"]
    # the lease of one that took it and died is over
    lease, found = await due(store, FAR_MS, 10)
    assert list(found) == ["e2"]
    again, found = await due(store, lease, 10)
    await done(store, "e2", "p", lease)
    assert list(found) == ["e2"]
    await done(store, "e2", "p", again)
    assert await store.command("KEYS", "weir:*") == []


async def test_all_of_a_project_that_wait_are_woken_however_many_and_no_others(store: Store) -> None:
    await store.command("ZADD", "weir:waiting", *(part for one in range(2 * MANY) for part in (FAR_MS, f"e{one}")))
    await store.command("SADD", "weir:waiting:of:p", *(f"e{one}" for one in range(MANY)))
    # one that has gone on meanwhile
    await store.command("ZREM", "weir:waiting", "e0")
    assert await wake_all(store, "p") == MANY - 1
    now_ms = int(time.time() * 1000)
    assert await store.command("ZCOUNT", "weir:waiting", "-inf", now_ms) == MANY - 1
    assert await store.command("ZCOUNT", "weir:waiting", FAR_MS, FAR_MS) == MANY
    told = re.search(r"cmdstat_evalsha:calls=(\d+)", (await store.command("INFO", "commandstats")).decode())
    assert told
    assert int(told[1]) > 10, "not all in one go: nobody else is answered meanwhile"


async def test_executions_that_are_to_end_are_known_however_many(store: Store) -> None:
    since_ms = int(time.time() * 1000) - 60_000
    await store.command("ZADD", "weir:cancelled", *(part for one in range(MANY) for part in (
        since_ms + one // 3, f"client-gone e{one}")))
    cursor, found = await cancelled(store, 0)
    assert found == {f"e{one}": "client-gone" for one in range(MANY)}
    await cancel(store, "later", "operator")
    assert (await cancelled(store, cursor))[1] == {"later": "operator"}
