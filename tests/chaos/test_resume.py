"""The executor is killed at each boundary of a durable workflow in turn: effects happen under one key each.

Before or after the effect is known, in turn; with WEIR_CHAOS_ROUNDS above 1 both at each.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from tests.support.platform import Platform, eventually

STEPS = """durable: true
steps:
  - { id: draw, transform: { value: "{%% $random() %%}" } }
  - { id: first, http: { method: POST, url: "%(base)s/first", body: { drawn: "{%% steps.draw %%}" } } }
  - id: lines
    loop:
      over: [1, 2]
      steps:
        - { id: line, http: { method: POST, url: "%(base)s/line", body: { n: "{%% loop.item %%}" } } }
  - { id: last, http: { method: POST, url: "%(base)s/last", body: { after: "{%% steps.first.body %%}" } } }
  - id: answer
    reply:
      body: { first: "{%% steps.first.body %%}", lines: "{%% steps.lines.body %%}", last: "{%% steps.last.body %%}" }
"""
EFFECTS = 4
ROUNDS = int(os.environ.get("WEIR_CHAOS_ROUNDS", "1"))


class Outside:
    """Answers what its path says; may have the executor killed before or after it answers the nth new effect."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.bodies: dict[str, set[str]] = {}
        self.kill_at, self.before = 0, False
        self.killed = False

    async def handle(self, request: web.Request) -> web.Response:
        """One effect, under its key."""
        body, key = await request.text(), request.headers["idempotency-key"]
        self.bodies.setdefault(key.partition("/")[2], set()).add(body)
        if len(self.bodies) == self.kill_at and not self.killed:
            self.killed = True
            kill = asyncio.get_running_loop().call_later(0 if self.before else 0.02, self.kill)
            if self.before:
                await asyncio.sleep(0.5)
            del kill
        return web.json_response(f"{request.path}:{json.loads(body).get('n', '')}")

    def kill(self) -> None:
        """The executor, at once."""
        os.kill(self.platform.processes()["executor-0"].pid, signal.SIGKILL)


@pytest.fixture
async def outside(platform: Platform) -> AsyncIterator[tuple[Outside, str]]:
    found = Outside(platform)
    application = web.Application()
    application.router.add_post("/{path:.*}", found.handle)
    async with TestServer(application) as server:
        yield found, str(server.make_url("")).rstrip("/")


async def test_killed_executor_loses_no_step_and_repeats_no_finished_one(
        platform: Platform, outside: tuple[Outside, str]) -> None:
    effects, base = outside
    name = f"durable-{os.urandom(4).hex()}"
    platform.admin("POST", f"/projects/{name}/versions", {"files": {
        "weir.yaml": f"name: {name}\n", "workflows/w.yaml": STEPS % {"base": base},
        "operations.yaml": "operations:\n  - { name: o, method: POST, path: /go, workflow: w, public: true }\n"}})
    async with ClientSession() as http:
        async def go() -> tuple[int, bytes]:
            async with http.post(f"{platform.ingress}/{name}/go") as answer:
                return answer.status, await answer.read()

        await eventually(lambda: asyncio.to_thread(platform.is_green), within_s=20, every_s=0.3)
        await platform.configured(http)
        whole = await go()
        assert whole[0] == 200
        for kill_at in range(1, EFFECTS + 1):
            for before in (True, False) if ROUNDS > 1 else (kill_at % 2 == 0,):
                effects.bodies.clear()
                effects.kill_at, effects.before, effects.killed = kill_at, before, False
                status, body = await go()
                assert effects.killed
                assert (status, json.loads(body)) == (200, json.loads(whole[1]))
                assert {key: len(bodies) for key, bodies in effects.bodies.items()} == {
                    "first": 1, "lines[0]/line": 1, "lines[1]/line": 1, "last": 1}
                effects.kill_at = 0
                await eventually(lambda: asyncio.to_thread(platform.is_green), within_s=20, every_s=0.3)
