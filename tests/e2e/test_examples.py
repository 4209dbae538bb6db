"""Every example runs: its outside systems, its project, its calls."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from shared.project.load import is_project_file
from shared.project.steps.registry import BUILT_IN
from tests.support.platform import ROOT, Platform, eventually, free_ports

Ask = Any


@contextmanager
def stub(example: Path, port: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, str(example / "stub.py"), "--port", str(port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def running(platform: Platform, http: ClientSession, name: str) -> AsyncIterator[Ask]:
    """An example with its outside systems, and calls of it with a token of its first client."""
    example, (port,) = ROOT / "examples" / name, free_ports(1)
    files = {path: file.read_text() for file in example.rglob("*.yaml")
             if is_project_file(path := file.relative_to(example).as_posix())}
    files["weir.yaml"] = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", files["weir.yaml"])
    with stub(example, port):
        platform.admin("POST", f"/projects/{name}/versions", {"files": files})
        client = re.search(r"name: ([a-z-]+)", files["access.yaml"].partition("clients:")[2])
        assert client is not None
        token = platform.admin("POST", f"/projects/{name}/clients/{client[1]}/tokens", {})["token"]
        await platform.configured(http)

        async def call(method: str, path: str, *, anybody: bool = False, text: bool = False,
                       **more: Any) -> tuple[int, Any]:
            headers = {} if anybody else {"Authorization": f"Bearer {token}"}
            async with http.request(method, f"{platform.ingress}{path}", headers={**headers, **more.pop("headers", {})},
                                    **more) as answer:
                return answer.status, await (answer.text() if text else answer.json(content_type=None))
        await eventually(lambda: reachable(port), within_s=10)
        yield call


@pytest.fixture
async def ask(platform: Platform, http: ClientSession, request: pytest.FixtureRequest) -> AsyncIterator[Ask]:
    """Calls of the example that is the parameter."""
    async with running(platform, http, request.param) as call:
        yield call


async def reachable(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize("ask", ["inventory"], indirect=True)
async def test_inventory(ask: Ask) -> None:
    assert await ask("GET", "/inventory/stock/pears", anybody=True) == (200, {"sku": "pears", "left": 2})
    assert (await ask("GET", "/inventory/stock/none", anybody=True))[0] == 404
    order = {"lines": [{"sku": "apples", "pieces": 2}, {"sku": "pears", "pieces": 1}]}
    key = {"Idempotency-Key": os.urandom(8).hex()}
    made = (201, {"total": 9, "lines": [{"sku": "apples", "price": 6}, {"sku": "pears", "price": 3}]})
    for _ in range(2):
        assert await ask("POST", "/inventory/orders", json=order, headers=key) == made
    assert await ask("GET", "/inventory/stock/apples", anybody=True) == (200, {"sku": "apples", "left": 38})
    status, body = await ask("POST", "/inventory/orders", json={"lines": [{"sku": "pears", "pieces": 5}]})
    assert (status, body) == (409, {"message": "5 of pears are not there"})
    some = {"lines": [{"sku": "apples", "pieces": 3}, {"sku": "plums", "pieces": 1}, {"sku": "apples", "pieces": 4}]}
    assert (await ask("POST", "/inventory/orders", json=some))[0] == 409
    assert await ask("GET", "/inventory/stock/apples", anybody=True) == (200, {"sku": "apples", "left": 38})
    assert (await ask("POST", "/inventory/orders", json=order, anybody=True))[0] == 401
    status, started = await ask("POST", "/inventory/restock")
    assert status == 202
    found: list[Any] = []

    async def ended() -> bool:
        found[:] = [(await ask("GET", started["result"]))[1]]
        return found[0]["status"] not in ("accepted", "running")
    await eventually(ended)
    assert found[0]["status"] == "succeeded", found[0]
    assert found[0]["result"]["body"] == {"counted": ["apples: 38", "pears: 1"]}


@pytest.mark.parametrize("ask", ["lead-scoring"], indirect=True)
async def test_lead_scoring(ask: Ask) -> None:
    async def score(email: str, message: str) -> Any:
        status, body = await ask("POST", "/lead-scoring/leads", json={"email": email, "message": message})
        assert status == 200
        return body
    assert await score("a@example.com", "An OFFER, please") == {
        "score": 100, "band": "hot", "next": "somebody calls today"}
    assert await score("a@example.org", "hello") == {"score": 25, "band": "warm", "next": "somebody writes this week"}
    assert await score("a@example.net", "hello") == {"score": 0, "band": "cold", "next": "the newsletter"}


@pytest.mark.parametrize("ask", ["place-facts"], indirect=True)
async def test_place_facts(ask: Ask) -> None:
    assert await ask("GET", "/place-facts/places/bern") == (
        200, {"name": "bern", "people": 134_000, "weather": "clear", "near": ["thun"]})
    assert await ask("GET", "/place-facts/places/thun") == (
        200, {"name": "thun", "people": 44_000, "weather": "not known (upstream-failed)", "near": ["bern"]})
    assert await ask("GET", "/place-facts/places/atlantis") == (404, {"message": "nobody knows atlantis"})


@pytest.mark.parametrize(("name", "port", "told"), [
    ("inventory", 8091, b'"lines":[{"sku":"apples"'), ("lead-scoring", 8092, b'"band":"hot"'),
    ("place-facts", 8093, b'"people":134000'), ("support-chat", 8095, b"Delivery takes two days.")])
async def test_command_runs_an_example(platform: Platform, http: ClientSession, name: str, port: int,
                                       told: bytes) -> None:
    env = {**os.environ, **platform.env}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.console.cli.main", "example", name, cwd=ROOT, env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    assert process.stdout is not None
    try:
        said = b""
        while b"Ctrl-C" not in said:
            said += await asyncio.wait_for(process.stdout.readline(), 20)
        await platform.configured(http)
        calls = said.decode().partition("Ctrl-C")[0]
        await eventually(lambda: reachable(port), within_s=10)
        done = await asyncio.create_subprocess_shell(calls, cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE)
        assert told in (await done.communicate())[0]
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()
    assert not await reachable(port)


@pytest.mark.parametrize("ask", ["support-chat"], indirect=True)
async def test_support_chat(ask: Ask) -> None:
    chat = f"/support-chat/chats/{os.urandom(4).hex()}"
    first = await ask("POST", chat, json={"question": "How long does delivery take?"}, text=True)
    assert first[0] == 200
    heard = re.findall(r"event: (\w+)\nid: \S+\ndata: (.*)", first[1])
    assert heard[0][0] == "sources"
    assert '"title":"Delivery"' in heard[0][1]
    assert ("text", "Delivery takes two days.") in heard
    assert heard[-1][0] == "end"
    again = await ask("POST", chat, json={"question": "How long does delivery take?"}, text=True)
    assert "You have asked 1 times before." in again[1]
    away = await ask("POST", chat, json={"question": "crash"}, text=True)
    assert re.findall(r"event: (\w+)", away[1]) == ["sources", "text", "end"]
    assert (await ask("POST", chat, json={}))[0] == 400


@pytest.mark.parametrize("ask", ["support-chat"], indirect=True)
async def test_support_chat_asks_the_shop_through_its_policy(ask: Ask, platform: Platform, http: ClientSession) -> None:
    chat = f"/support-chat/chats/{os.urandom(4).hex()}"
    question = {"question": "How many apples are in stock?"}
    async with running(platform, http, "inventory") as shop:
        left = (await shop("GET", "/inventory/stock/apples", anybody=True))[1]["left"]
        answer = await ask("POST", chat, json=question, text=True)
        assert f"Left in stock: {left}." in answer[1]
    # the shop's own systems are gone
    assert "Left in stock: unknown." in (await ask("POST", chat, json=question, text=True))[1]


def test_examples_use_every_kind_of_step() -> None:
    texts = "".join(path.read_text() for path in (ROOT / "examples").glob("*/workflows/*.yaml"))
    assert [kind for kind in BUILT_IN if re.search(rf"\b{kind}:", texts) is None] == []
