"""Durable walks against the real store: what was finished is not run again."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from services.executor.journal import Journal, Journals, Superseded
from shared.contracts.sealed import Seal
from shared.errors import Unavailable
from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from tests.support.outside import serving
from tests.support.platform import Platform, eventually
from tests.unit.services.executor.test_run import nowhere, perform

Calls = list[tuple[str, str]]


@pytest.fixture
async def journals(platform: Platform, name: str) -> AsyncIterator[Journals]:
    store = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield Journals(store, Tasks())
    await store.command("DEL", "weir:journal:p:r")
    await store.stop()


@pytest.fixture
async def outside() -> AsyncIterator[tuple[str, Calls, set[str]]]:
    """Notes the idempotency key and the body of each call; fails the paths that it is told to, `/two` by no answer."""
    calls: Calls = []
    broken: set[str] = set()

    async def handle(request: web.Request) -> web.Response:
        if request.path in broken:
            await asyncio.sleep(5 if request.path == "/two" else 0)
            return web.Response(status=500)
        calls.append((request.headers.get("idempotency-key", ""), (await request.read()).decode()))
        return web.json_response(len(calls))
    async with serving(handle) as base:
        yield base, calls, broken


def steps() -> list[dict[str, Any]]:
    def post(step_id: str, path: str, body: str) -> dict[str, Any]:
        return {"id": step_id, "http": {"method": "POST", "url": f"{{% config.base %}}{path}", "body": body}}
    return [
        {"id": "draw", "transform": {"value": "{% $random() %}"}}, post("one", "/one", "{% {'drawn': steps.draw} %}"),
        {"id": "each", "loop": {"over": [10, 20], "steps": [post("line", "/line", "{% {'n': loop.item} %}")]}},
        {"id": "sub", "call": {"workflow": "w2", "input": 1}},
        {**post("shaky", "/shaky", "{% {'x': 1} %}"), "catch": [post("sorry", "/sorry", "{% {'x': 2} %}")]},
        post("two", "/two", "{% {'drawn': steps.draw} %}"),
        {"id": "answer", "reply": {"body": {
            "one": "{% steps.one.body %}", "lines": "{% steps.each.body %}", "two": "{% steps.two.body %}"}}}]


CALLED = {"w2": {"name": "w2", "steps": [
    {"id": "post", "http": {"method": "POST", "url": "{% config.base %}/called", "body": "{% {'in': trigger.body} %}"}},
    {"id": "back", "reply": {"body": "{% steps.post.body %}"}}]}}


async def test_walk_goes_on_where_it_stopped(
        journals: Journals, outside: tuple[str, Calls, set[str]]) -> None:
    base, calls, broken = outside
    everything = {"workflow": {"durable": True}, "others": CALLED, "config": {"base": base}, "journals": journals,
                  "trigger": {}}
    broken |= {"/shaky", "/two"}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(perform(steps(), **everything), 0.5)
    first = list(calls)
    assert [key for key, _ in first] == ["r/one", "r/each[0]/line", "r/each[1]/line", "r/sub/post", "r/shaky/sorry"]
    broken.clear()
    made, scene = await perform(steps(), **everything)
    assert calls[:5] == first, "none of the finished steps has run again, nor the one whose failure was handled"
    assert [key for key, _ in calls[5:]] == ["r/two"]
    assert json.loads(calls[0][1]) == json.loads(calls[5][1]), "a value that was drawn stays as it was"
    assert json.loads(made.body) == {"one": 1, "lines": [2, 3], "two": 6}
    assert scene.tally.tasks == 13, "what was finished counts once, in the execution that ends"


async def test_of_two_walks_of_one_execution_only_the_later_one_goes_on(
        journals: Journals, outside: tuple[str, Calls, set[str]]) -> None:
    base, calls, _ = outside
    steps = [{"id": "pause", "delay": {"for": "400ms"}}, {"id": "draw", "transform": {"value": "{% $random() %}"}},
             {"id": "one", "http": {"method": "POST", "url": f"{base}/one", "body": "{% {'drawn': steps.draw} %}"}},
             {"id": "answer", "reply": {"body": "{% steps.draw %}"}}]
    everything = {"workflow": {"durable": True}, "journals": journals}
    former = asyncio.create_task(perform(steps, **everything))
    await asyncio.sleep(0.1)
    # both come to the drawing at the same time
    answer, _ = await perform(steps, **everything)
    with pytest.raises(Superseded):
        await former
    assert calls == [("r/one", json.dumps({"drawn": json.loads(answer.body)}, separators=(",", ":")))]


async def test_executions_to_which_a_publisher_gives_one_id_have_a_journal_each(journals: Journals, name: str) -> None:
    steps = [{"id": "draw", "transform": {"value": "{% $random() %}"}},
             {"id": "answer", "reply": {"body": "{% steps.draw %}"}}]
    drawn = []
    for offset in (0, 1, 0):
        made, _ = await perform(steps, workflow={"durable": True}, journals=journals, request_id=name,
                                holder=f"{name}@t/0/{offset}")
        drawn.append(made.body)
    assert (len(set(drawn)), drawn[0]) == (2, drawn[2]), "delivered again it finds its own"


async def test_walk_is_told_that_another_one_goes_on_and_nothing_where_the_store_is_away(journals: Journals) -> None:
    former, later = [await journals.open("p", "r", 1_000) for _ in range(2)]
    assert [await one.goes_on_elsewhere() for one in (former, later)] == [True, False]
    away = Journal(Journals(nowhere(), Tasks()), ("weir:journal:p:r", 1), 1_000, {})
    for journal, wrong in ((former, Superseded), (away, Unavailable)):
        assert await journal.goes_on_elsewhere() is (wrong is Superseded)
        journal.note("a", {"output": 1})
        with pytest.raises(wrong):
            await journal.settled()
        assert await journal.goes_on_elsewhere() is (wrong is Superseded)


async def test_walk_whose_journal_is_lost_keeps_a_new_one(journals: Journals, platform: Platform) -> None:
    steps = [{"id": "pause", "delay": {"for": "300ms"}}, {"id": "answer", "reply": {"body": 1}}]
    walk = asyncio.create_task(perform(steps, workflow={"durable": True}, journals=journals))
    await asyncio.sleep(0.1)
    store = Store(RedisSettings(url=platform.redis_url), patient=True)
    assert await store.command("DEL", "weir:journal:p:r") == 1
    answer, _ = await walk
    assert answer.body == b"1"
    await eventually(lambda: store.command("HEXISTS", "weir:journal:p:r", "pause/"))
    await store.stop()


async def test_express_walk_starts_over_and_has_no_key(
        journals: Journals, outside: tuple[str, Calls, set[str]]) -> None:
    base, calls, _ = outside
    for _ in range(2):
        await perform(steps(), others=CALLED, config={"base": base}, journals=journals, trigger={})
    assert len(calls) == 12
    assert {key for key, _ in calls} == {""}


async def test_durable_walk_without_its_journal_does_not_begin(outside: tuple[str, Calls, set[str]]) -> None:
    base, calls, _ = outside
    error, _ = await perform(steps(), workflow={"durable": True}, others=CALLED, config={"base": base}, trigger={},
                             journals=Journals(nowhere(), Tasks()))
    assert isinstance(error, Unavailable)
    assert calls == []


async def test_masked_output_is_written_down_sealed_and_its_error_says_nothing(
        journals: Journals, platform: Platform, outside: tuple[str, Calls, set[str]]) -> None:
    base, calls, broken = outside
    steps = [{"id": "secret", "mask": True, "http": {"method": "POST", "url": f"{base}/secret", "body": "pin-4711"}},
             {"id": "later", "mask": True, "http": {"url": f"{base}/broken"}},
             {"id": "answer", "reply": {"body": "{% steps.secret.body %}"}}]
    broken.add("/broken")
    journals.seal = Seal(base64.urlsafe_b64encode(bytes(32)).decode())
    error, _ = await perform(steps, workflow={"durable": True}, journals=journals)
    assert str(error) == "step 'later' failed, and says no more (mask)"
    store = Store(RedisSettings(url=platform.redis_url), patient=True)
    noted = (await store.hashes(["weir:journal:p:r"]))[0]
    await store.stop()
    assert b"sealed" in noted[b"secret/"]
    assert b"body" not in noted[b"secret/"]
    broken.clear()
    answer, _ = await perform(steps, workflow={"durable": True}, journals=journals)
    # the masked step was not run again
    assert (answer.body, [body for _, body in calls].count("pin-4711")) == (b"1", 1)
