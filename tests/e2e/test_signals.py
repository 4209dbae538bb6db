"""Blocks act at the edge, within a second, and end when they are lifted."""

import asyncio
import json
import time

from aiohttp import ClientSession, TCPConnector

from tests.e2e.test_policies import opened
from tests.support.platform import PROXY, Platform, eventually


async def test_block_acts_at_the_edge_within_a_second_and_is_lifted_as_fast(
        platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, "clients: [{name: c}]\n")

    async def status(wanted: int) -> bool:
        async with http.get(f"{platform.ingress}/{name}/ask", headers=headers) as answer:
            await answer.read()
            return answer.status == wanted
    took: list[float] = []
    for number in range(50):
        kind, subject = (("client", "c"), ("ip", "127.0.0.1"))[number % 2]
        for wanted in (403, 200):
            if wanted == 403:
                platform.admin("POST", f"/projects/{name}/signals", {"kind": kind, "subject": subject, "for_s": 60})
            else:
                platform.admin("DELETE", f"/projects/{name}/signals/{kind}/{subject}")
            began = time.monotonic()
            await eventually(lambda wanted=wanted: status(wanted), every_s=0.005)
            took.append(time.monotonic() - began)
    assert sorted(took)[98] < 1, sorted(took)[-5:]


async def published(platform: Platform, http: ClientSession) -> float:
    """Requests that the policy instances have read."""
    total = 0.0
    for process in platform.processes().values():
        if process.name.startswith("policy"):
            async with http.get(process.ready_url.replace("ready", "metrics")) as answer:
                total += sum(float(line.split()[-1]) for line in (await answer.text()).splitlines()
                             if line.startswith('weir_records_consumed_total{topic="weir.requests.edge"}'))
    return total


async def test_blocked_call_costs_no_record_and_says_why(
        platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, "clients: [{name: c}]\n")
    platform.weir("signals", "block", name, "--ip", "203.0.113.77", "--reason", "hammering")
    async with ClientSession(connector=TCPConnector(local_addr=(PROXY, 0))) as proxy:
        behind = {**headers, "X-Forwarded-For": "203.0.113.77"}

        async def blocked() -> bool:
            async with proxy.get(f"{platform.ingress}/{name}/ask", headers=behind) as answer:
                problem = await answer.json()
                return answer.status == 403 and problem["detail"].endswith("s: hammering")
        await eventually(blocked)
        await asyncio.sleep(0.5)
        before = await published(platform, http)
        for _ in range(100):
            assert await blocked()
        # the canaries of the ingress go on meanwhile, on the other topic
        assert await published(platform, http) - before < 20
        ids = set[str]()
        for _ in range(3):
            async with proxy.get(f"{platform.ingress}/{name}/ask", headers=behind) as answer:
                ids.add(answer.headers["X-Request-Id"])
                assert (answer.status, (await answer.json())["request_id"]) == (403, answer.headers["X-Request-Id"])
            # the same connection and the same path, by others
            for others in ({**headers, "X-Forwarded-For": "203.0.113.78"}, headers):
                async with proxy.get(f"{platform.ingress}/{name}/ask", headers=others) as answer:
                    assert (answer.status, await answer.json()) == (200, 1)
        assert len(ids) == 3
    # not through the proxy: the header is anybody's to write
    async with http.get(f"{platform.ingress}/{name}/ask", headers=behind) as answer:
        assert answer.status == 200

    def counted() -> bool:
        rows = platform.admin("GET", f"/projects/{name}/usage?by=reason")["rows"]
        return {row["reason"]: row["requests"] for row in rows}.get("blocked", 0) >= 104
    await eventually(counted)
    assert '"203.0.113.77"' in platform.weir("signals", "list", name, "--json").stdout
    assert json.loads(platform.weir("signals", "lift", name, "--ip", "203.0.113.77", "--json").stdout)["action"] == (
        "unblock")
    wrong = platform.weir("signals", "lift", name, "--ip", "203.0.113.77", check=False)
    assert (wrong.returncode, "no signal about ip" in wrong.stderr) == (1, True)
