"""The address that an `ip` rule sees of a call behind a proxy, by both headers that proxies write it in."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.support.edges import edge
from tests.support.platform import PROXY, Platform
from tests.support.topics import usage_events

ACCESS = """policies:
  - {name: banned, action: reject, rules: [{ip: {in: [198.51.100.66, "2001:db8:7::66"]}}]}
  - {name: inside, action: reject, rules: [{ip: {not_in: [198.51.100.0/24, "2001:db8:7::/64"]}}]}
  - {name: fair, action: accept, operations: [few], limits: [{limit: 2, per: hour, by: ip}]}
"""
# whom a call is for, by either header: the address that counts, the policy that refuses it
INSIDE, BANNED, OUTSIDE, NOBODY = ("198.51.100.7", None), ("198.51.100.66", "banned"), ("203.0.113.9", "inside"), (
    None, "inside")
FORWARDED = {
    'for="[2001:db8:7::7]:4711"': ("2001:db8:7::7", None),
    'for="[2001:db8:7::66]:4711";proto=https': ("2001:db8:7::66", "banned"),
    "for=198.51.100.7": INSIDE, "For=198.51.100.66": BANNED, "for=203.0.113.9": OUTSIDE,
    # IPv4 as IPv6 writes it
    'for="[::ffff:198.51.100.7]"': INSIDE, 'for="[::ffff:c633:6442]:4711"': BANNED,
    # the caller has written something before it came to the proxy
    "for=198.51.100.7, for=203.0.113.9": OUTSIDE, 'for=198.51.100.7;x=", for=203.0.113.9': OUTSIDE,
    f"for=198.51.100.7, for=203.0.113.9, for={PROXY}": OUTSIDE,
    f"for=203.0.113.9, for=198.51.100.7, for={PROXY}": INSIDE,
    # nobody can say what the proxy meant
    "for=198.51.100.7, for": NOBODY, 'for="198.51.100.7': NOBODY, "for=198.51.100.7;for=198.51.100.7": NOBODY,
    "for=198.51.100.7, for=[2001:db8:7::7]": NOBODY, "for=198.51.100.7, for=unknown": NOBODY,
    "for=198.51.100.7, proto=https": NOBODY,
}
X_FORWARDED_FOR = {
    "2001:db8:7::7": ("2001:db8:7::7", None), "[2001:db8:7::66]:4711": ("2001:db8:7::66", "banned"),
    "198.51.100.7": INSIDE, "198.51.100.66": BANNED, "203.0.113.9:4711": OUTSIDE,
    "::ffff:198.51.100.7": INSIDE, "::ffff:c633:6442": BANNED,
    "198.51.100.7, 203.0.113.9": OUTSIDE, f"198.51.100.7, 203.0.113.9, {PROXY}": OUTSIDE,
    f"203.0.113.9, 198.51.100.7, {PROXY}": INSIDE,
    "198.51.100.7, unknown": NOBODY, "198.51.100.7, 198.51.100.7.": NOBODY, "198.51.100.7 198.51.100.7": NOBODY,
}


@dataclass
class Gate:
    """Both edges of the cluster; `name`: a project behind them that only some addresses may call."""

    name: str
    edges: dict[str, str]
    platform: Platform

    async def get(self, session: ClientSession, header: str, value: str, path: str = "/ask") -> tuple[int, str, Any]:
        """A call over the edge that believes this header: its status, request id and body."""
        async with session.get(f"{self.edges[header]}/{self.name}{path}", headers={header: value}) as answer:
            return answer.status, answer.headers["X-Request-Id"], await answer.json()


@pytest.fixture(scope="module")
async def gate(
        platform: Platform, http: ClientSession, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    name = f"t{os.urandom(6).hex()}"
    operations = [{"name": one, "method": "GET", "path": f"/{one}", "workflow": "w", "public": True}
                  for one in ("ask", "few")]
    workflow = {"steps": [{"id": "answer", "reply": {"body": "{% trigger.ip %}"}}]}
    platform.admin("POST", f"/projects/{name}/versions", {"files": {
        "weir.yaml": f"name: {name}\n", "operations.yaml": json.dumps({"operations": operations}),
        "access.yaml": ACCESS, "workflows/w.yaml": json.dumps(workflow)}})
    async with edge(platform, http, tmp_path_factory.mktemp("edge"), WEIR_INGRESS_FORWARDED_BY="forwarded",
                    WEIR_INGRESS_TRUSTED_PROXIES=f'["{PROXY}"]') as other:
        await platform.configured(http)
        yield Gate(name, {"X-Forwarded-For": platform.ingress, "Forwarded": other.url}, platform)


@pytest.fixture
async def proxy() -> AsyncIterator[ClientSession]:
    """A client whose word about addresses is believed."""
    async with ClientSession(connector=TCPConnector(local_addr=(PROXY, 0))) as session:
        yield session


@pytest.mark.parametrize(("header", "calls"), [("Forwarded", FORWARDED), ("X-Forwarded-For", X_FORWARDED_FOR)])
async def test_last_address_that_no_proxy_has_is_the_one_that_rules_and_usage_see(
        gate: Gate, proxy: ClientSession, header: str, calls: dict[str, tuple[str | None, str | None]]) -> None:
    answers = await asyncio.gather(*(gate.get(proxy, header, value) for value in calls))
    found = {}
    events = await usage_events(gate.platform, *(request_id for _, request_id, _ in answers))
    for value, (status, _, body), event in zip(calls, answers, events, strict=True):
        if status == 200:
            assert body == event["address"], value
        else:
            assert (status, body["code"], event["reason"]) == (403, "access-rejected", "access-rejected"), value
        found[value] = event["address"], body["policy"] if status == 403 else None
    assert found == calls


async def test_headers_of_callers_and_of_other_kinds_of_proxies_are_not_believed(
        gate: Gate, http: ClientSession, proxy: ClientSession) -> None:
    said = {"Forwarded": "for=198.51.100.7", "X-Forwarded-For": "198.51.100.7"}
    ids = []
    for header, url in gate.edges.items():
        for session, headers in ((http, said), (proxy, {one: said[one] for one in said if one != header})):
            async with session.get(f"{url}/{gate.name}/ask", headers=headers) as answer:
                assert (answer.status, (await answer.json())["policy"]) == (403, "inside")
                ids.append(answer.headers["X-Request-Id"])
    assert [event["address"] for event in await usage_events(gate.platform, *ids)] == ["127.0.0.1", PROXY] * 2


async def test_limit_by_address_counts_one_caller_once_however_its_address_is_written(
        gate: Gate, proxy: ClientSession) -> None:
    ways = [("Forwarded", "for=198.51.100.8"), ("X-Forwarded-For", "::ffff:198.51.100.8"),
            ("Forwarded", 'for="[::ffff:c633:6408]"'), ("X-Forwarded-For", "198.51.100.9")]
    assert [(await gate.get(proxy, *way, path="/few"))[0] for way in ways] == [200, 200, 429, 200]
