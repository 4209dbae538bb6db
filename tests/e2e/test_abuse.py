"""Usage events say whose a request was, and who abuses an API is found and stopped."""

from typing import Any

import orjson
from aiohttp import ClientSession

from shared.names import topics
from tests.e2e.test_policies import opened
from tests.support.platform import Platform, eventually
from tests.support.topics import records


async def events_of(platform: Platform, *request_ids: str) -> list[dict[str, Any]]:
    """The usage events of some requests, in their order, once all are there."""
    async def look() -> list[dict[str, Any]] | None:
        found: dict[str, dict[str, Any]] = {}
        for text in await records(platform, topics.USAGE):
            # key, value, headers; only a value starts like a list
            for line in text.split(b"\n"):
                if line.startswith(b"[{"):
                    found |= {event["id"]: event for event in orjson.loads(line)}
        return [found[one] for one in request_ids] if set(request_ids) <= set(found) else None
    events: list[dict[str, Any]] = await eventually(look)
    return events


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
    events = await events_of(platform, served, refused, astray, nowhere)
    assert {event["address"] for event in events} == {"127.0.0.1"}
    assert (events[0]["client"], bool(events[0]["token"]), events[0]["proof"], events[0]["path"]) == (
        "c", True, None, None)
    assert (events[1]["token"], len(events[1]["proof"])) == (None, 4)
    assert (events[2]["project"], events[2]["path"][:8]) == (name, "/reset/*")
    assert (events[3]["project"], events[3]["path"]) == ("", "/.env")
    assert secret.encode() not in b"".join(await records(platform, topics.USAGE))
