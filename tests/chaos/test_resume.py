"""The executor is killed at each boundary of durable workflows: no finished step runs again, no answer changes.

Before each step stands a gate: a call whose answer the outside system keeps back. One execution is kept at each gate,
one inside each effect; then the executor dies, and all of them with it. An effect that the outside system does not see
is cut from its note by taking the note away while nobody runs.
"""

import asyncio
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, web
from aiokafka import AIOKafkaConsumer

from shared.kafka.topics import ensure_topics
from shared.names.topics import Topic
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from tests.support.outside import serving
from tests.support.platform import PARK_AFTER_MS, Platform, eventually

Steps = list[dict[str, Any]]
ROUNDS = int(os.environ.get("WEIR_CHAOS_ROUNDS", "1"))
# what the outside system does not see, by the call that comes after it
BEFORE = {"before_choose": "draw", "choose/before_picked": "choose/way",
          "lines[0]/before_line": "lines/over", "lines[1]/before_line": "lines[0]/double",
          "before_pause": "lines[1]/double", "before_sub": "pause", "sub/before_ask": "sub/count",
          "before_answer": "tell"}
# what is noted besides: when a pause ends, what a storage step has done
NOT_OF_STEPS = {"pause/end", "sub/count/done"}
# effects among them: what has to be known again although nobody has noted it
FORGOTTEN = ("sub/before_ask", "before_answer")
# long enough that all others have come to their gates meanwhile
PAUSE_MS = PARK_AFTER_MS + 1_500


def post(step_id: str, base: str, body: Any) -> dict[str, Any]:
    return {"id": step_id, "http": {"method": "POST", "url": f"{base}/{step_id}", "body": body,
                                    "timeout": "60s"}}


def gated(base: str, steps: Steps) -> Steps:
    """The same steps, a gate before each."""
    return [one for step in steps for one in (post(f"before_{step['id']}", base, {"gate": True}), step)]


def files(name: str, base: str) -> dict[str, str]:
    """One workflow with steps of each kind, and one that it calls."""
    drawn = {"drawn": "{% steps.draw %}"}
    main = gated(base, [
        {"id": "draw", "transform": {"value": "{% $random() %}"}},
        {"id": "choose", "branch": {"if": "steps.draw >= 0", "then": gated(base, [post("picked", base, drawn)])}},
        {"id": "lines", "loop": {"over": "{% [$random(), $random()] %}", "steps": gated(base, [
            post("line", base, {**drawn, "n": "{% loop.item %}"}),
            {"id": "double", "transform": {"value": "{% {'n': loop.index * 2, 'line': steps.line.body} %}"}}])}},
        {"id": "pause", "delay": {"for": f"{PAUSE_MS}ms"}},
        {"id": "sub", "call": {"workflow": "part", "input": drawn}},
        {"id": "tell", "publish": {"topic": f"examples.{name}", "value": drawn}},
        {"id": "answer", "reply": {"body": {**drawn, "picked": "{% steps.picked.body %}", "lines": "{% steps.lines %}",
                                            "sub": "{% steps.sub %}", "told": "{% steps.tell %}"}}}])
    part = gated(base, [
        {"id": "count", "storage": {"action": "increment", "scope": "run", "key": "times"},
         "retry": {"attempts": 5, "on": ["store-unavailable"]}},
        post("ask", base, {"drawn": "{% trigger.body.drawn %}", "times": "{% steps.count %}"}),
        {"id": "part_answer", "reply": {"body": {"times": "{% steps.count %}", "ask": "{% steps.ask.body %}"}}}])
    return {"weir.yaml": f"name: {name}\n",
            "operations.yaml": "operations:\n  - { name: o, method: POST, path: /go, workflow: w, public: true, "
                               "timeout: 60s }\n",
            **{f"workflows/{workflow}.yaml": json.dumps({"durable": True, "steps": steps})
               for workflow, steps in (("w", main), ("part", part))}}


class Outside:
    """Answers what its path says, but for calls that are kept back until the executor has died."""

    def __init__(self) -> None:
        self.plans: list[set[str]] = []
        self.keeps: dict[str, set[str]] = {}
        # by execution and step: what was asked for
        self.asked: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.kept: dict[str, str] = {}
        self.died = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        """One effect, under its key. An execution that is new here takes the next plan: at which calls it is kept."""
        execution, _, step = request.headers["idempotency-key"].partition("/")
        if execution not in self.keeps:
            self.keeps[execution] = self.plans.pop() if self.plans else set()
        self.asked[execution][step].add(await request.text())
        if step in self.keeps[execution]:
            self.kept[execution] = step
            await self.died.wait()
        return web.json_response(step)


@pytest.fixture
async def outside() -> AsyncIterator[tuple[Outside, str]]:
    found = Outside()
    async with serving(found.handle) as base:
        yield found, base


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    made = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield made
    await made.stop()


class Runs:
    """Calls of the workflow, and the death of what they run in."""

    def __init__(self, platform: Platform, http: ClientSession, store: Store, project: str, outside: Outside) -> None:
        self._platform, self._http, self._store, self._project = platform, http, store, project
        self._outside = outside
        self.answers: list[asyncio.Task[tuple[int, Any]]] = []
        # by place: what was noted there when the executor died
        self.noted: dict[str, set[str]] = {}
        self.forgotten: set[str] = set()

    async def go(self) -> tuple[int, Any]:
        """Status and body of one call."""
        async with self._http.post(f"{self._platform.ingress}/{self._project}/go",
                                   timeout=ClientTimeout(total=90)) as answer:
            return answer.status, await answer.json()

    async def used(self) -> list[tuple[int, int, int]]:
        """Status, requests, tasks, as counted."""
        usage = await asyncio.to_thread(self._platform.admin, "GET", f"/projects/{self._project}/usage?by=status")
        return [(row["status"], row["requests"], row["tasks"]) for row in usage["rows"]]

    async def kill(self) -> None:
        """Once nothing moves any more."""
        await eventually(self._still, within_s=40, every_s=0.05)
        kept, executor = self._outside.kept, self._platform.processes()["executor-0"]
        os.kill(executor.pid, signal.SIGKILL)
        await eventually(lambda: not executor.is_alive(), every_s=0.005)
        for execution, place in [*((one, "pause") for one in await self._waiting()), *kept.items()]:
            noted = await self._store.command("HKEYS", self._journal(execution))
            self.noted[place] = {path.decode().rstrip("/") for path in noted} - {"walk"}
        for place in FORGOTTEN:
            # of one of those that stand here: as if the executor had died before it could write this note
            for execution in [one for one, where in kept.items() if where == place][:1]:
                assert await self._store.command("HDEL", self._journal(execution), f"{BEFORE[place]}/") == 1
                self.forgotten.add(f"{execution}/{BEFORE[place]}")
        for execution, place in kept.items():
            self._outside.keeps[execution].remove(place)
        kept.clear()
        self._outside.died.set()
        self._outside.died = asyncio.Event()

    async def _still(self) -> bool:
        kept, over = set(self._outside.kept), sum(answer.done() for answer in self.answers)
        return bool(kept) and len(kept | await self._waiting()) + over == len(self.answers)

    async def _waiting(self) -> set[str]:
        """Those that wait, for a while yet; not those that somebody is about to wake, by a lease."""
        now_ms = int(time.time() * 1000)
        found = await self._store.command("ZRANGEBYSCORE", "weir:waiting", now_ms + 300, now_ms + PAUSE_MS)
        return {one.decode() for one in found} & set(self._outside.keeps)

    def _journal(self, execution: str) -> str:
        return f"weir:journal:{self._project}:{execution}"


@pytest.fixture
async def runs(platform: Platform, http: ClientSession, store: Store, name: str,
               outside: tuple[Outside, str]) -> AsyncIterator[Runs]:
    await ensure_topics(platform.kafka, [
        Topic(name=f"examples.{name}", value="", writers=(), readers=(), partitions=1, configs={})])
    await asyncio.to_thread(platform.admin, "POST", f"/projects/{name}/versions", {"files": files(name, outside[1])})
    await eventually(platform.is_green, within_s=20)
    await platform.configured(http)
    yield Runs(platform, http, store, name, outside[0])
    await eventually(platform.is_green, within_s=20)


async def told(platform: Platform, topic: str) -> dict[str, list[float]]:
    """What was published, by key of the effect."""
    found = defaultdict(list)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=platform.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    while records := await consumer.getmany(timeout_ms=1_500):
        for record in (one for batch in records.values() for one in batch):
            found[dict(record.headers)["idempotency-key"].decode()].append(json.loads(record.value)["drawn"])
    await consumer.stop()
    return found


def check_places(noted: dict[str, set[str]], places: list[str]) -> None:
    """The executor has died at each, and what stands before was noted before this began."""
    assert set(noted) == {*places, "pause"}
    assert noted["pause"] == noted["before_pause"] | {"before_pause", "pause/end"}
    done: set[str] = set()
    for place in places:
        done |= {BEFORE[place]} if place in BEFORE else set()
        assert noted[place] - NOT_OF_STEPS == done, place
        done.add(place)


@pytest.mark.parametrize("_", range(ROUNDS))
async def test_killed_executor_loses_no_step_and_repeats_no_finished_one(
        platform: Platform, runs: Runs, outside: tuple[Outside, str], name: str, _: int) -> None:
    effects, _base = outside
    status, whole = await runs.go()
    assert status == 200
    (places,), drawn = [list(asked) for asked in effects.asked.values()], whole.pop("drawn")
    [(_, _, tasks)] = await eventually(runs.used)
    # one at each place; those before which an effect is forgotten, once more; one that dies twice
    effects.plans = [{place} for place in (*places, *FORGOTTEN)] + [{places[2], places[-1]}]
    runs.answers = [asyncio.create_task(runs.go()) for _ in effects.plans]
    # those before the pause, those after it, and the one that dies twice once more
    for _kill in range(3):
        await runs.kill()
    answers = await asyncio.gather(*runs.answers)

    check_places(runs.noted, places)
    # the same answer, and what was drawn once went into all effects
    draws = {answer.pop("drawn") for _, answer in answers} | {drawn}
    assert answers == [(200, whole)] * len(answers)
    assert len(draws) == 1 + len(answers)
    for asked in effects.asked.values():
        assert {step: len(bodies) for step, bodies in asked.items()} == dict.fromkeys(places, 1)
    published = await told(platform, f"examples.{name}")
    assert {key.partition("/")[2] for key in runs.forgotten} == {BEFORE[place] for place in FORGOTTEN}
    assert set(published) == {f"{one}/tell" for one in effects.asked}
    assert all(len(published[key]) > 1 for key in runs.forgotten if key.endswith("tell"))
    assert sorted(value for values in published.values() for value in set(values)) == sorted(draws)

    async def each_once() -> bool:
        return await runs.used() == [(200, len(effects.asked), tasks * len(effects.asked))]
    await eventually(each_once)
