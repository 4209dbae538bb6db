"""What was finished behind an execution that goes on is not done again when the executor dies."""

import asyncio
import os
import signal
from collections import Counter

from aiohttp import ClientSession, web

from tests.support.outside import serving
from tests.support.platform import Platform, eventually

PROJECT = """operations:
  - { name: o, method: POST, path: "/go/{n}", workflow: w, public: true, timeout: 60s }
"""
WORKFLOW = """steps:
  - { id: tell, http: { method: POST, url: "BASE/{% trigger.path.n %}", timeout: 60s } }
  - { id: answer, reply: { body: "{% steps.tell.body %}" } }
"""
# enough for each partition of the executions to get some
SHORT = 24


async def test_finished_executions_behind_an_open_one_do_not_run_again(
        platform: Platform, http: ClientSession, name: str) -> None:
    seen, died = Counter[str](), asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        seen[request.path] += 1
        if request.path.startswith("/long"):
            await died.wait()
        return web.json_response(request.path)

    async def go(n: str) -> tuple[int, str]:
        async with http.post(f"{platform.ingress}/{name}/go/{n}") as answer:
            return answer.status, await answer.json()

    async with serving(handle) as base:
        await asyncio.to_thread(platform.admin, "POST", f"/projects/{name}/versions", {"files": {
            "weir.yaml": f"name: {name}\n", "operations.yaml": PROJECT,
            "workflows/w.yaml": WORKFLOW.replace("BASE", base)}})
        await platform.configured(http)
        open_ones = [asyncio.create_task(go(f"long-{n}")) for n in range(SHORT)]
        await eventually(lambda: len(seen) == SHORT)
        await asyncio.gather(*(go(f"short-{n}") for n in range(SHORT)))
        # until it is known to the group
        await asyncio.sleep(1)
        os.kill(platform.processes()["executor-0"].pid, signal.SIGKILL)
        await eventually(lambda: sum(seen.values()) >= 3 * SHORT, within_s=20)
        died.set()
        answers = await asyncio.gather(*open_ones)
        await eventually(platform.is_green, within_s=20)
    assert sorted(answers) == sorted((200, f"/long-{n}") for n in range(SHORT))
    assert {path: times for path, times in seen.items() if path.startswith("/short")} == {
        f"/short-{n}": 1 for n in range(SHORT)}
