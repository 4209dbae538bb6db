"""The storage step against the real store."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.executor.journal import Journals
from shared.errors import WeirError
from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from shared.telemetry.metrics import Metrics
from tests.support.platform import Platform, eventually
from tests.support.stores import running
from tests.unit.services.executor.test_run import nowhere, perform


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def store(platform: Platform, metrics: Metrics) -> AsyncIterator[Store]:
    made = Store(RedisSettings(url=platform.redis_url), metrics, patient=True)
    yield made
    await made.stop()


@pytest.fixture
def key() -> str:
    return os.urandom(6).hex()


def act(key: str, action: str, **more: Any) -> dict[str, Any]:
    return {"id": f"s{os.urandom(4).hex()}", "storage": {"key": key, "action": action, **more}}


async def outputs(store: Store, *steps: dict[str, Any], **more: Any) -> list[Any]:
    made, scene = await perform([*steps, {"id": "answer", "reply": {}}], store=store, **more)
    assert not isinstance(made, WeirError), made
    return [scene.scope["steps"][step["id"]] for step in steps]


async def error(store: Store, *steps: dict[str, Any]) -> Any:
    made, _ = await perform([*steps, {"id": "answer", "reply": {}}], store=store)
    assert isinstance(made, WeirError)
    return made.members["error"]


async def test_value_is_set_read_and_deleted(store: Store, key: str) -> None:
    value = {"a": [1, None, "ü"]}
    assert await outputs(store, act(key, "get"), act(key, "set", value=value)) == [None, value]
    assert await outputs(store, act(key, "get"), act(key, "delete"), act(key, "delete")) == [value, True, False]


async def test_list_is_first_in_first_out_and_bounded(store: Store, key: str, metrics: Metrics) -> None:
    appends = [act(key, "append", value=value) for value in ("a", {"b": 1}, 3)]
    assert await outputs(store, *appends, act(key, "get")) == [1, 2, 3, ["a", {"b": 1}, 3]]
    assert await error(store, act(key, "append", value=4)) == "stored-too-large"
    assert await outputs(store, act(key, "shift"), act(key, "shift")) == ["a", {"b": 1}]
    assert await outputs(store, act(key, "shift"), act(key, "shift")) == [3, None]
    # nobody is to be paged for what a workflow does
    assert b"weir_store_errors_total{" not in metrics.text()[0]


async def test_increments_of_many_executions_add_up(store: Store, key: str) -> None:
    await asyncio.gather(*(outputs(store, act(key, "increment", value=2)) for _ in range(20)))
    assert await outputs(store, act(key, "increment"), act(key, "get")) == [41, 41]


async def test_sum_is_exact_up_to_64_bits(store: Store, key: str) -> None:
    largest = 2**63 - 1
    steps = [act(key, "increment", value=value) for value in (123_456_789_012_345, largest - 123_456_789_012_346, 1)]
    assert await outputs(store, *steps, act(key, "get")) == [123_456_789_012_345, largest - 1, largest, largest]
    made, _ = await perform([act(key, "increment"), {"id": "answer", "reply": {}}], store=store)
    assert made.members["error"] == "stored-otherwise"
    assert "64 bits" in str(made)


async def test_scopes_are_apart(store: Store, key: str) -> None:
    scopes = ("project", "workflow", "run")
    await outputs(store, *(act(key, "set", scope=scope, value=scope) for scope in scopes))
    assert await outputs(store, *(act(key, "get", scope=scope) for scope in scopes)) == list(scopes)


async def test_value_is_forgotten_after_its_time(store: Store, key: str) -> None:
    await outputs(store, act(key, "set", value=1, ttl="60ms"))
    await asyncio.sleep(0.1)
    assert await outputs(store, act(key, "get")) == [None]


@pytest.mark.parametrize(("before", "action", "kind"), [
    ({"action": "set", "value": "x"}, "append", "stored-otherwise"), ({"action": "set", "value": "x"}, "increment",
                                                                      "stored-otherwise"),
    ({"action": "append", "value": 1}, "increment", "stored-otherwise")])
async def test_action_that_does_not_fit_what_is_stored_fails(
        store: Store, key: str, metrics: Metrics, before: dict[str, Any], action: str, kind: str) -> None:
    await outputs(store, {"id": "a", "storage": {"key": key, **before}})
    assert await error(store, act(key, action, value=1)) == kind
    assert b"weir_store_errors_total{" not in metrics.text()[0]


async def test_value_that_is_too_large_and_store_that_is_away(store: Store, key: str) -> None:
    assert await error(store, act(key, "set", value="x" * 2000)) == "stored-too-large"
    assert await error(nowhere(), act(key, "get")) == "store-unavailable"


@pytest.mark.parametrize("refuses", ["maxmemory", "min-replicas-to-write"])
async def test_store_that_takes_nothing_is_told_apart_from_a_value_that_does_not_fit(
        tmp_path: Path, key: str, refuses: str) -> None:
    async with running(tmp_path) as store:
        assert await outputs(store, act(key, "increment")) == [1]
        await store.command("CONFIG", "SET", refuses, 1)
        for action in ("increment", "set", "append"):
            assert await error(store, act(f"{key}{action}", action, value=1)) == "store-unavailable"
        await store.command("CONFIG", "SET", refuses, 0)
        assert await outputs(store, act(key, "increment")) == [2]


async def test_effect_of_a_durable_step_that_was_not_noted_happens_once(store: Store, key: str) -> None:
    steps = [act(key, "increment"), {"id": "answer", "reply": {}}]
    for _ in range(2):
        await perform(steps, workflow={"durable": True}, store=store, journals=Journals(store, Tasks()))
        # as if the executor had died before it could note what the step gave
        assert await store.command("HDEL", "weir:journal:p:r", f"{steps[0]['id']}/") == 1
    await store.command("DEL", "weir:journal:p:r")
    assert await outputs(store, act(key, "get")) == [1]


async def test_effect_that_an_older_release_remembers_under_a_key_of_its_own_is_not_done_again(
        store: Store, key: str) -> None:
    step = act(key, "increment")
    # as if that one's executor had died before it could note what the step gave
    await store.command("SET", f"weir:storage-done:p:{key}/{step['id']}", "7", "PX", 60_000)
    _, scene = await perform([step, {"id": "answer", "reply": {}}], workflow={"durable": True}, store=store,
                             journals=Journals(store, Tasks()), request_id=key)
    assert scene.scope["steps"][step["id"]] == 7
    assert await outputs(store, act(key, "get")) == [None]


async def test_what_was_stored_is_remembered_no_longer_than_the_journal_of_its_execution(
        store: Store, key: str) -> None:
    async def longest_ms() -> int:
        kept = await store.command("KEYS", f"weir:*{key}*")
        return max([await store.command("PTTL", place) for place in kept])
    steps = [{"id": "more", "storage": {"key": "n", "action": "increment", "ttl": "30s"}},
             {"id": "all", "storage": {"key": "n"}}, {"id": "answer", "reply": {}}]
    await perform(steps, workflow={"durable": True}, store=store, journals=Journals(store, Tasks()), request_id=key,
                  left_ms=30 * 86_400_000)
    # what is read has no effect, and may be large
    assert await store.command("HMGET", f"weir:journal:p:{key}", "more/done", "all/done") == [b"1", None]
    await eventually(lambda: _is(longest_ms, 3_600_000))


async def _is(ask: Callable[[], Awaitable[int]], most: int) -> bool:
    return 0 < await ask() <= most


async def test_many_callers_share_a_connection(platform: Platform) -> None:
    crowded = Store(RedisSettings(url=platform.redis_url), patient=True)
    assert await asyncio.gather(*(crowded.command("PING") for _ in range(300))) == [b"PONG"] * 300
    await crowded.stop()


async def test_list_that_is_larger_than_a_step_may_give_is_not_read_whole(store: Store, key: str) -> None:
    place = f"weir:storage:p:project:{key}"
    await store.command("RPUSH", place, *[b'"' + b"x" * 90_000 + b'"'] * 60)
    assert await error(store, act(key, "get")) == "output-too-large"
    assert len((await outputs(store, act(key, "shift")))[0]) == 90_000
    await store.command("DEL", place)
