"""Kill each process under a light load: every answered request is counted, and all is well again soon.

WEIR_CHAOS_ROUNDS repeats the whole round (`make chaos` sets it).
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.e2e.test_policies import project_with
from tests.support.platform import PROJECT, Platform, eventually

ROUNDS = int(os.environ.get("WEIR_CHAOS_ROUNDS", "1"))
CALLERS = 8
PAUSE_S = 0.05
GREEN_S = 15.0
# a broker recovers its log and waits for its old session to end
BROKER_GREEN_S = 30.0


@dataclass
class Load:
    """What callers saw. `lost`: the connection broke, or an answer never came."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    over: bool = False

    @property
    def sent(self) -> int:
        return self.statuses.total() + self.lost


async def caller(platform: Platform, load: Load, token: str) -> None:
    url = f"{platform.ingress}/{PROJECT}/employees/e-100"
    async with ClientSession(timeout=ClientTimeout(total=15)) as http:
        while not load.over:
            try:
                async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                    await answer.read()
                    load.statuses[answer.status] += 1
            except (ClientError, TimeoutError):
                load.lost += 1
            await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def callers_of(platform: Platform) -> AsyncIterator[tuple[Load, str]]:
    """Callers of a client of their own, so that the counts are theirs alone."""
    client = f"chaos-{os.urandom(4).hex()}"
    platform.admin("POST", f"/projects/{PROJECT}/clients", {"name": client})
    token = platform.admin("POST", f"/projects/{PROJECT}/clients/{client}/tokens", {})["token"]
    async with ClientSession() as http:
        await platform.configured(http)
    running = Load()
    callers = [asyncio.create_task(caller(platform, running, token)) for _ in range(CALLERS)]
    yield running, client
    running.over = True
    await asyncio.gather(*callers)


@pytest.fixture
async def load(platform: Platform) -> AsyncIterator[tuple[Load, str]]:
    async with callers_of(platform) as found:
        yield found


def counted(platform: Platform, client: str) -> Counter[int]:
    rows = platform.admin("GET", f"/projects/{PROJECT}/usage?by=client,status")["rows"]
    return Counter({row["status"]: row["requests"] for row in rows if row["client"] == client})


async def await_counted(platform: Platform, client: str, load: Load, within_s: float) -> None:
    """Until every answered call is counted, and no call twice, a second later either; say what was seen."""
    def settled() -> bool:
        found = counted(platform, client)
        return load.statuses[200] <= found[200] and found.total() <= load.sent
    try:
        await eventually(settled, within_s=within_s)
        await asyncio.sleep(1)
        assert settled()
    finally:
        print(f"\nsent {load.sent}, answered {dict(load.statuses)}, lost {load.lost}; "
              f"counted {dict(counted(platform, client))}")


@pytest.mark.parametrize("victim", [
    "policy-0", "executor-0", "analytics-0", "control-0", "ingress-0", "valkey", "kafka"])
async def test_killed_process_loses_no_answered_request(
        platform: Platform, load: tuple[Load, str], victim: str) -> None:
    running, client = load
    green_s = BROKER_GREEN_S if victim == "kafka" else GREEN_S
    for _ in range(ROUNDS):
        answered = running.statuses[200]
        await eventually(lambda answered=answered: running.statuses[200] > answered + 50, within_s=green_s)
        before = platform.processes()[victim]
        os.kill(before.pid, signal.SIGKILL)
        begin = time.monotonic()
        await eventually(lambda before=before: platform.processes()[victim].pid != before.pid, within_s=green_s)
        await eventually(platform.is_green, within_s=green_s)
        print(f"\n{victim}: green after {time.monotonic() - begin:.1f} s", end="")
        answered = running.statuses[200]
        await eventually(lambda answered=answered: running.statuses[200] > answered + 20, within_s=green_s)
    running.over = True
    await await_counted(platform, client, running, 13)
    assert running.statuses[200] > 20


async def test_place_of_a_call_is_free_again_when_its_executor_dies(platform: Platform, http: ClientSession) -> None:
    name = f"held-{os.urandom(4).hex()}"
    files = project_with(name, "clients: [{name: c}]\npolicies:\n  - name: one\n    action: accept\n"
                               "    limits: [{concurrent: 1}]\n")
    platform.admin("POST", f"/projects/{name}/versions", {"files": files})
    token = platform.admin("POST", f"/projects/{name}/clients/c/tokens", {})["token"]
    await platform.configured(http)

    async def status(path: str) -> int:
        async with http.get(f"{platform.ingress}/{name}{path}", headers={"Authorization": f"Bearer {token}"}) as answer:
            await answer.read()
            return answer.status
    first = asyncio.create_task(status("/slow"))
    await asyncio.sleep(0.7)
    assert await status("/ask") == 429
    os.kill(platform.processes()["executor-0"].pid, signal.SIGKILL)
    assert await first == 200, "another executor has run it"
    assert await status("/ask") == 200
