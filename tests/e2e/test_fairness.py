"""A project whose outside system hangs: what others notice of it, and where it ends."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, TCPConnector, web
from aiohttp.test_utils import TestServer

from tests.support.platform import PROJECT_BOUND, Platform

HANGS_S = 1.5
CONNECTIONS = 64


@pytest.fixture
async def hanging() -> AsyncIterator[str]:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(HANGS_S)
        return web.json_response({})
    application = web.Application()
    application.router.add_get("/", hang)
    async with TestServer(application) as server:
        yield str(server.make_url("/"))


@pytest.fixture
async def projects(platform: Platform, http: ClientSession, hanging: str) -> tuple[str, str]:
    """URLs of an operation that waits for the hanging system, and of one of another project that does not."""
    urls = []
    for kind, step in (("hung", f"{{ id: wait, http: {{ url: '{hanging}' }} }}"),
                       ("quick", "{ id: wait, transform: { value: 1 } }")):
        name = f"{kind}-{os.urandom(4).hex()}"
        platform.admin("POST", f"/projects/{name}/versions", {"files": {
            "weir.yaml": f"name: {name}\n",
            "workflows/w.yaml": f"steps:\n  - {step}\n  - {{ id: answer, reply: {{ body: 1 }} }}\n",
            "operations.yaml": "operations:\n  - { name: o, method: GET, path: /go, workflow: w, public: true }\n"}})
        urls.append(f"{platform.ingress}/{name}/go")
    await platform.configured(http)
    return urls[0], urls[1]


async def p99_ms(http: ClientSession, url: str) -> float:
    took = []
    for _ in range(200):
        began = time.monotonic()
        async with http.get(url) as answer:
            assert answer.status == 200
            await answer.read()
        took.append((time.monotonic() - began) * 1000)
    return sorted(took)[-3]


async def test_project_that_hangs_does_not_slow_another(http: ClientSession, projects: tuple[str, str]) -> None:
    hung, quick = projects
    async with ClientSession(connector=TCPConnector(limit=CONNECTIONS)) as crowd:
        async def caller() -> None:
            while True:
                async with crowd.get(hung) as answer:
                    await answer.read()
        seen = []
        for _ in range(3):
            # a noisy machine slows one side or the other; three of three it does not
            alone = await p99_ms(http, quick)
            callers = [asyncio.create_task(caller()) for _ in range(CONNECTIONS)]
            await asyncio.sleep(0.5)
            seen.append((alone, await p99_ms(http, quick)))
            for task in callers:
                task.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            if seen[-1][1] <= 2 * alone:
                break
        assert seen[-1][1] <= 2 * seen[-1][0], seen


async def test_project_has_so_many_executions_at_a_time(projects: tuple[str, str]) -> None:
    hung, _ = projects
    async with ClientSession(connector=TCPConnector(limit=0)) as crowd:
        async def call() -> tuple[int, str]:
            async with crowd.get(hung) as answer:
                body = await answer.json()
                return answer.status, body["code"] if answer.status != 200 else ""
        found = Counter(await asyncio.gather(*(call() for _ in range(PROJECT_BOUND + 20))))
    assert set(found) == {(200, ""), (503, "overloaded")}
    assert found[200, ""] == PROJECT_BOUND
