"""Policies by chance: what explain, a replay and the edge say of a call is the same."""

import asyncio
import json
import time
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession

from tests.support.platform import Platform
from tests.support.random_policies import CLIENTS, PATHS, Chance, RandomCall

CALLS = 50


class Answer:
    """Of the edge."""

    def __init__(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])
        problem: dict[str, Any] = json.loads(body) if self.status >= 400 else {}
        self.code, self.detail = problem.get("code", "ok"), problem.get("detail", "")
        self.by = problem.get("policy") or problem.get("limit")


async def answered(platform: Platform, project: str, tokens: dict[str, str], call: RandomCall) -> Answer:
    """As bytes: no library sends headers that say twice what they say."""
    method, path = PATHS[call.operation]
    target = f"/{project}{path.replace('{id}', '7')}" + (f"?{urlencode(call.query)}" if call.query else "")
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(call.body)}",
             *(f"{name}: {value}" for name, value in call.headers)]
    if call.client is not None:
        lines.append(f"Authorization: Bearer {tokens[call.client]}")
    host, port = platform.ingress.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write("\r\n".join([*lines, "", ""]).encode() + call.body)
    raw = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return Answer(raw)


def explained(platform: Platform, project: str, call: RandomCall) -> tuple[int, str, str]:
    headers: dict[str, str] = {}
    for name, value in call.headers:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    query: dict[str, list[str]] = {}
    for name, value in call.query:
        query.setdefault(name, []).append(value)
    decision = platform.admin("POST", f"/projects/{project}/access/explain", {
        "operation": call.operation, "client": call.client, "ip": "127.0.0.1", "headers": headers, "query": query,
        "params": {"id": "7"} if call.operation == "op3" else {}, "body": call.body.decode() or None})["decision"]
    return decision["status"], decision["code"], "" if decision["code"] == "ok" else decision["detail"]


async def in_force(platform: Platform, http: ClientSession, project: str, files: dict[str, str]) -> dict[str, str]:
    """The tokens of its clients."""
    platform.admin("POST", f"/projects/{project}/versions", {"files": files})
    tokens = {client: platform.admin("POST", f"/projects/{project}/clients/{client}/tokens", {})["token"]
              for client in CLIENTS}
    await platform.configured(http)
    return tokens


def changed(before: list[Answer], after: list[Answer], calls: list[RandomCall]) -> Counter[tuple[str, str, str]]:
    """How often which operation ends otherwise, and how."""
    found: Counter[tuple[str, str, str]] = Counter()
    for call, one, other in zip(calls, before, after, strict=True):
        if one.code == "ok" != other.code:
            found["newly refused", call.operation, other.code] += 1
        elif one.code != "ok" == other.code:
            found["newly admitted", call.operation, one.code] += 1
        elif (one.code, one.by) != (other.code, other.by):
            found["refused for another reason", call.operation, other.code] += 1
    return found


@pytest.mark.parametrize("seed", [3, 10, 56])
async def test_edge_explain_and_replay_say_the_same_of_every_call(
        platform: Platform, http: ClientSession, name: str, seed: int) -> None:
    chance, later = Chance(seed), f"{name}-later"
    files, calls = chance.files(name, limits=False), [chance.call() for _ in range(CALLS)]
    tokens = await in_force(platform, http, name, files)
    since = int(time.time() * 1000)
    before = [await answered(platform, name, tokens, call) for call in calls]
    assert [explained(platform, name, call) for call in calls] == [(one.status, one.code, one.detail) for one in before]

    draft = {**chance.files(name, limits=True), "operations.yaml": files["operations.yaml"]}
    told = platform.admin("POST", f"/projects/{name}/replay", {"files": draft, "since": since})
    # limits begin with nothing spent, in a replay as in a new project
    tokens = await in_force(platform, http, later, {**draft, "weir.yaml": draft["weir.yaml"].replace(name, later)})
    after = [await answered(platform, later, tokens, call) for call in calls]
    assert (told["requests"], told["undecidable"]) == (CALLS, [])
    assert sum((Counter({(one["change"], one["operation"], (
        one["before"] if one["change"] == "newly admitted" else one["after"]).split()[0]): one["requests"]})
        for one in told["changes"]), Counter()) == changed(before, after, calls)
