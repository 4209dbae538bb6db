"""Usage events say whose a request was, and who abuses an API is found and stopped."""

import asyncio
import base64
import json
import os
import signal as signals
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, TCPConnector

from shared.contracts import token as tokens
from shared.names import topics
from tests.e2e.test_policies import opened
from tests.support.hook import Hook, listening
from tests.support.platform import PROXY, SECRET, SECRET_NAME, Platform, eventually
from tests.support.topics import records, usage_events


async def ask(http: ClientSession, url: str, headers: dict[str, str] | None = None) -> str:
    async with http.get(url, headers=headers) as answer:
        await answer.read()
        return answer.headers["X-Request-Id"]


async def test_usage_events_say_whose_a_request_was_and_no_secret(
        platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, "clients: [{name: c}]\n")
    secret = "8f3a91c2d7e6"
    url = f"{platform.ingress}/{name}"
    served = await ask(http, f"{url}/ask", headers)
    refused = await ask(http, f"{url}/ask", {"Authorization": f"Bearer {secret}"})
    astray = await ask(http, f"{url}/reset/{secret}")
    nowhere = await ask(http, f"{platform.ingress}/.env")
    events = await usage_events(platform, served, refused, astray, nowhere)
    assert {event["address"] for event in events} == {"127.0.0.1"}
    assert (events[0]["client"], bool(events[0]["token"]), events[0]["proof"], events[0]["path"]) == (
        "c", True, None, None)
    assert (events[1]["token"], len(events[1]["proof"])) == (None, 4)
    assert (events[2]["project"], events[2]["path"][:8]) == (name, "/reset/*")
    assert (events[3]["project"], events[3]["path"]) == ("", "/.env")
    assert secret.encode() not in b"".join(await records(platform, topics.USAGE))


ABUSE = """clients: [{name: c}]
abuse:
  action: block
  for: 2m
  credential_burst: {failures: 10, proofs: 5}
  path_scan: {paths: 8}
  hammering: {refusals: 20, lasting: 6s, within: 30s, action: throttle, rate: 3}
"""


def behind(address: str, **more: str) -> dict[str, str]:
    """Headers of a call that a trusted proxy passes on."""
    return {"X-Forwarded-For": address, **more}


def wrong() -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.new_token()}"}


@pytest.fixture
async def proxy() -> AsyncIterator[ClientSession]:
    """A client whose word about addresses is believed."""
    async with ClientSession(connector=TCPConnector(local_addr=(PROXY, 0))) as session:
        yield session


async def status(http: ClientSession, url: str, headers: dict[str, str]) -> tuple[int, Any]:
    async with http.get(url, headers=headers) as answer:
        return answer.status, await answer.json()


async def listed(platform: Platform, project: str, subject: str) -> dict[str, Any] | None:
    found = await asyncio.to_thread(platform.admin, "GET", f"/projects/{quote(project)}/signals")
    return next((signal for signal in found if signal["subject"] == subject), None)


async def test_guessing_of_tokens_is_found_blocked_at_the_edge_lifted_and_judged_anew(
        platform: Platform, http: ClientSession, proxy: ClientSession, name: str) -> None:
    right = await opened(http, platform, name, ABUSE)
    url, guesser, neighbour = f"{platform.ingress}/{name}/ask", "203.0.113.41", "203.0.113.42"
    began, guesses = time.monotonic(), []
    for _ in range(12):
        guesses.append(await ask(proxy, url, behind(guesser, **wrong())))

    async def blocked() -> Any:
        code, problem = await status(proxy, url, behind(guesser, **right))
        return problem if code == 403 else None
    problem = await eventually(blocked)
    assert time.monotonic() - began < 8
    assert (problem["code"], problem["signal"]) == ("blocked", "credential-burst")
    assert problem["detail"].endswith("too many refused credentials")
    assert (await status(proxy, url, behind(neighbour, **right)))[0] == 200

    async def blocked_at_the_edge() -> Any:
        # whichever of policy and the edge hears of it first refuses the first call
        [event] = await usage_events(platform, (await blocked())["request_id"])
        return event if event["origin"] is None else None
    event = await eventually(blocked_at_the_edge)
    assert (event["reason"], event["client"], event["address"]) == ("blocked", "c", guesser)
    signal = await listed(platform, name, guesser)
    assert signal is not None
    assert (signal["kind"], signal["action"], signal["version"], signal["evidence"]["failures"] >= 10) == (
        "ip", "block", 1, True)
    assert set(signal["evidence"]["requests"]) <= set(guesses)
    shown = platform.weir("signals", "show", name, "--ip", guesser).stdout
    assert f"ip {guesser}: block in {name}" in shown
    assert "failures: 1" in shown
    # nor does it hear of paths that lead nowhere
    assert (await status(proxy, f"{platform.ingress}/{name}/nowhere", behind(guesser)))[0] == 403
    platform.weir("signals", "lift", name, "--ip", guesser)

    async def let_in() -> bool:
        return (await status(proxy, url, behind(guesser, **right)))[0] == 200
    await eventually(let_in)
    for _ in range(4):
        await ask(proxy, url, behind(guesser, **wrong()))
    await asyncio.sleep(2.5)
    assert await let_in()
    for _ in range(10):
        await ask(proxy, url, behind(guesser, **wrong()))
    await eventually(blocked)


async def test_walk_through_paths_from_a_network_is_found_and_its_pin_outlives_its_time(
        platform: Platform, http: ClientSession, proxy: ClientSession, name: str) -> None:
    right = await opened(http, platform, name, ABUSE.replace("2m", "8s"))
    url, network = f"{platform.ingress}/{name}/ask", "2001:db8:41:7::/64"
    for number, path in enumerate((".env", "admin", "wp-login.php", ".git/config", "old", "test", "debug", "backup")):
        await ask(proxy, f"{platform.ingress}/{name}/{path}", behind(f"2001:db8:41:7::{number + 1}"))
    signal = await eventually(lambda: listed(platform, name, network))
    assert (signal["detector"], signal["evidence"]["paths"], len(signal["evidence"]["some"])) == ("path-scan", 8, 5)
    pinned = platform.admin("POST", f"/projects/{name}/signals/ip/{quote(network, safe='')}/pin")
    assert (pinned["pinned"], pinned["detector"]) == (True, "path-scan")
    await asyncio.sleep(max(0, signal["until"] / 1000 - time.time()) + 0.5)
    code, problem = await status(proxy, url, behind("2001:db8:41:7::ffff", **right))
    assert (code, problem["detail"]) == (403, "this address is blocked: too many paths that lead nowhere")
    assert "until it is lifted" in platform.weir("signals", "list", name).stdout
    platform.weir("signals", "lift", name, "--ip", network)

    async def let_in() -> bool:
        return (await status(proxy, url, behind("2001:db8:41:7::ffff", **right)))[0] == 200
    await eventually(let_in)
    assert await listed(platform, name, network) is None


async def test_blocks_and_pins_survive_the_death_of_whoever_knows_of_them(
        platform: Platform, http: ClientSession, proxy: ClientSession, name: str) -> None:
    right = await opened(http, platform, name, ABUSE)
    url = f"{platform.ingress}/{name}/ask"
    platform.weir("signals", "block", name, "--ip", "203.0.113.51", "--for", "30d")
    platform.weir("signals", "block", name, "--ip", "203.0.113.52", "--for", "1h")
    platform.weir("signals", "block", name, "--ip", "203.0.113.53", "--pin")
    for victim in ("ingress", "control"):
        process = next(one for one in platform.processes().values() if one.name.startswith(victim))
        os.kill(process.pid, signals.SIGKILL)
    await asyncio.sleep(0.5)
    await eventually(platform.is_green, within_s=30)
    for address, wanted in (("203.0.113.51", 403), ("203.0.113.52", 403), ("203.0.113.53", 403), ("203.0.113.54", 200)):
        assert (await status(proxy, url, behind(address, **right)))[0] == wanted
    assert {signal["subject"]: signal["pinned"] for signal in platform.admin("GET", f"/projects/{name}/signals")} == {
        "203.0.113.51": False, "203.0.113.52": False, "203.0.113.53": True}


async def test_caller_that_goes_on_after_429_is_throttled(
        platform: Platform, http: ClientSession, name: str) -> None:
    limit = ("policies:\n  - {name: fair, action: accept, limits: [{limit: 20, per: minute, by: client}]}\n")
    headers = await opened(http, platform, name, ABUSE + limit)
    url = f"{platform.ingress}/{name}/ask"

    async def found() -> dict[str, Any] | None:
        for _ in range(5):
            await ask(http, url, headers)
        return await listed(platform, name, "c")
    signal = await eventually(found, within_s=40, every_s=0.5)
    assert (signal["detector"], signal["kind"], signal["action"], signal["rate"]) == (
        "hammering", "client", "throttle", 3)
    assert signal["evidence"]["share"] >= 0.5


async def test_project_that_keeps_no_addresses_has_none_in_its_usage(
        platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, "clients: [{name: c}]\nabuse: {addresses: false}\n")
    ids = [await ask(http, f"{platform.ingress}/{name}/ask", headers),
           await ask(http, f"{platform.ingress}/{name}/ask", wrong()),
           await ask(http, f"{platform.ingress}/{name}/nowhere")]
    assert [event["address"] for event in await usage_events(platform, *ids)] == [None, None, None]


async def test_webhook_hears_of_what_detectors_find_and_people_do(
        platform: Platform, http: ClientSession, proxy: ClientSession, name: str) -> None:
    async with listening(Hook(base64.b64decode(SECRET.removeprefix("whsec_")))) as hook:
        await opened(http, platform, name, ABUSE + f"  webhook: {{url: '{hook.url}', secret: {SECRET_NAME}}}\n")
        platform.weir("signals", "block", name, "--client", "c", "--pin")
        platform.weir("signals", "lift", name, "--client", "c")
        for _ in range(12):
            await ask(proxy, f"{platform.ingress}/{name}/ask", behind("203.0.113.61", **wrong()))
        await eventually(lambda: len(hook.taken) >= 3, within_s=20)
    assert [(data["subject"], data["action"], data["detector"]) for data in hook.data][:3] == [
        ("c", "block", "manual"), ("c", "unblock", "manual"), ("203.0.113.61", "block", "credential-burst")]


async def test_token_that_is_passed_on_is_blocked_and_its_client_is_not(
        platform: Platform, http: ClientSession, proxy: ClientSession, name: str) -> None:
    passed_on = await opened(http, platform, name, ABUSE + "  token_sharing: {addresses: 5}\n")
    made = platform.admin("POST", f"/projects/{name}/clients/c/tokens", {})
    await platform.configured(http)
    url = f"{platform.ingress}/{name}/ask"
    for number in range(5):
        assert (await status(proxy, url, behind(f"203.0.113.{71 + number}", **passed_on)))[0] == 200

    async def blocked() -> Any:
        code, problem = await status(proxy, url, behind("203.0.113.71", **passed_on))
        return problem if code == 403 else None
    problem = await eventually(blocked, within_s=20)
    assert problem["detail"].startswith("this token is blocked for ")
    other = {"Authorization": f"Bearer {made['token']}"}
    assert (await status(proxy, url, behind("203.0.113.71", **other)))[0] == 200
    [signal] = platform.admin("GET", f"/projects/{name}/signals")
    assert (signal["kind"], signal["detector"], signal["evidence"]["addresses"]) == ("token", "token-sharing", 5)
    assert "203.0.113" not in json.dumps(signal)
