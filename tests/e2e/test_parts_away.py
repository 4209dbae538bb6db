"""What an operator sees while a part of the cluster is away: reasons, counters, traces of what failed meanwhile."""

import asyncio
import json
import os
import re
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import ClientSession

from deploy.local.cluster import SERVICES
from shared.names import topics
from shared.project.canary import CANARY
from tests.e2e.test_policies import opened
from tests.support.metrics import total
from tests.support.platform import PROJECT, Platform, eventually
from tests.support.topics import records

LIMITED = ("clients: [{name: c}]\npolicies:\n  - name: fair\n    action: accept\n"
           "    limits: [{limit: 1000, per: minute, by: client}]\n")


@contextmanager
def stopped(platform: Platform, name: str) -> Iterator[None]:
    """A process stands still."""
    pid = platform.processes()[name].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        # its threads stop one by one
        time.sleep(0.3)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def ready(platform: Platform, http: ClientSession, name: str) -> tuple[int, str]:
    """Status and reason of a process, as it says itself."""
    async with http.get(platform.processes()[name].ready_url) as answer:
        said = await answer.json()
        assert (said["status"] == "ok") == (answer.status == 200)
        return answer.status, said["reason"] or ""


async def well_again(platform: Platform) -> None:
    await eventually(platform.is_green, within_s=20)


async def test_readiness_says_that_the_broker_is_away_and_calls_that_failed_meanwhile_have_a_trace(
        platform: Platform, http: ClientSession) -> None:
    async def says_so(name: str) -> bool:
        status, reason = await ready(platform, http, name)
        return status == 503 and bool(re.search("the broker (?:does not acknowledge|has not a)", reason))
    # a member that cannot commit what it has read just now ends after a while
    await asyncio.sleep(1)
    with stopped(platform, "kafka"):
        await eventually(lambda: says_so("ingress-0"), within_s=8)
        for name in SERVICES:
            await eventually(lambda name=name: says_so(f"{name}-0"), within_s=12)
            # whoever restarts what is not alive must not restart them
            async with http.get(platform.processes()[f"{name}-0"].ready_url.replace("ready", "live")) as answer:
                assert answer.status == 200
        told = await asyncio.to_thread(platform.weir, "status", "--json", check=False)
        assert told.returncode == 1
        reasons = {row["name"]: (row["state"], row["reason"]) for row in json.loads(told.stdout)}
        for name in SERVICES:
            assert reasons[f"{name}-0"][0] == "not ready"
            assert "the broker" in reasons[f"{name}-0"][1]
        # not one of the hundredth that is traced by chance
        untraced = {"traceparent": f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-00"}
        # the last moment: what has waited for ten seconds is dropped, and counted
        async with http.get(f"{platform.ingress}/{PROJECT}/info", headers=untraced) as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")
            request_id = answer.headers["X-Request-Id"]
    await well_again(platform)
    for name in SERVICES:
        assert await ready(platform, http, f"{name}-0") == (200, "")

    async def shown() -> str:
        done = await asyncio.to_thread(platform.weir, "trace", request_id, check=False)
        return done.stdout if done.returncode == 0 else ""
    trace = await eventually(shown, within_s=20)
    assert f"GET /{PROJECT}/info" in trace
    assert "made afterwards" in trace


async def test_readiness_of_the_edge_says_that_no_request_goes_through_while_the_executor_hangs(
        platform: Platform, http: ClientSession) -> None:
    async def says_so() -> bool:
        status, reason = await ready(platform, http, "ingress-0")
        return status == 503 and reason.startswith("no request goes through policy and executor: no answer within")
    with stopped(platform, "executor-0"):
        await eventually(says_so, within_s=5)
    await well_again(platform)


async def test_store_that_is_away_is_said_by_who_needs_it_and_counted_by_who_does_without(
        platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, LIMITED)

    async def counted() -> tuple[float, float]:
        return (await total(platform, http, "policy", "weir_store_errors_total"),
                await total(platform, http, "policy", "weir_limits_local_total"))
    before = await counted()
    with stopped(platform, "valkey"):
        asked = asyncio.ensure_future(ready(platform, http, "analytics-0"))
        for _ in range(4):
            async with http.get(f"{platform.ingress}/{name}/ask", headers=headers) as answer:
                assert answer.status == 200
        after = await counted()
        assert after[0] > before[0]
        assert after[1] >= before[1] + 4
        status, reason = await asked
        assert (status, reason.startswith("the store is away: ")) == (503, True)
    await well_again(platform)
    assert await ready(platform, http, "analytics-0") == (200, "")


async def test_canary_goes_the_whole_way_and_is_no_usage(platform: Platform, http: ClientSession) -> None:
    async def consumed() -> Any:
        return await total(platform, http, "executor", "weir_records_consumed_total")
    before = await consumed()
    for _ in range(2):
        # an answer is good for a second
        await asyncio.sleep(1.1)
        assert await ready(platform, http, "ingress-0") == (200, "")
    assert await consumed() >= before + 2
    # usage is written within a tenth of a second
    await asyncio.sleep(0.5)
    assert not [one for one in await records(platform, topics.USAGE) if CANARY.name.encode() in one]
