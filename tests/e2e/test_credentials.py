"""A credential from the command line to the outside system, and nowhere else."""

import os
import subprocess
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from shared.names.topics import TOPICS
from tests.e2e.test_secrets import logs, redis_texts
from tests.support.platform import ROOT, Platform, eventually
from tests.support.topics import records
from tests.support.warm_home import command


@pytest.fixture
async def crm() -> AsyncIterator[tuple[str, list[str]]]:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("authorization", ""))
        return web.json_response({"ok": True})
    application = web.Application()
    application.router.add_get("/", handle)
    async with TestServer(application) as server:
        yield str(server.make_url("/")), seen


def weir(platform: Platform, *arguments: str, given: str = "") -> str:
    done = subprocess.run([*command(), *arguments], cwd=ROOT, input=given,
                          env={**os.environ, **platform.env}, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


async def test_credential_is_set_used_replaced_and_removed(
        platform: Platform, http: ClientSession, crm: tuple[str, list[str]]) -> None:
    url, seen = crm
    name, secret = f"crm-{os.urandom(4).hex()}", f"secret-{os.urandom(12).hex()}"
    platform.admin("POST", f"/projects/{name}/versions", {"files": {
        "weir.yaml": f"name: {name}\n",
        "workflows/w.yaml": f"steps:\n  - {{ id: ask, http: {{ url: '{url}', credential: crm }} }}\n"
                            "  - { id: answer, reply: { body: '{% steps.ask.body %}' } }\n",
        "operations.yaml": "operations:\n  - { name: o, method: GET, path: /go, workflow: w, public: true }\n"}})
    await platform.configured(http)

    async def go() -> tuple[int, str]:
        async with http.get(f"{platform.ingress}/{name}/go") as answer:
            return answer.status, await answer.text()
    status, text = await go()
    assert status == 500
    assert f"weir credential set {name} crm" in text
    assert "is missing" in weir(platform, "credential", "set", name, "crm", "--kind", "basic", given=secret)
    said = weir(platform, "credential", "set", name, "crm", "--kind", "bearer", given=f"{secret}\n")
    assert "is set" in said

    async def answered() -> bool:
        return (await go())[0] == 200
    await eventually(answered, within_s=5)
    assert seen[-1] == f"Bearer {secret}"
    listed = weir(platform, "credential", "list", name)
    assert "crm" in listed
    assert secret not in said + listed + (await go())[1]
    found = [*await records(platform, *(topic.name for topic in TOPICS)), *redis_texts(platform),
             *logs(platform.state_dir / "logs")]
    assert [text for text in found if secret.encode() in text] == []
    assert "is removed" in weir(platform, "credential", "remove", name, "crm")

    async def refused() -> bool:
        return (await go())[0] == 500
    await eventually(refused, within_s=5)
