"""A small HR system for the example: people in memory, one slow page, one broken page.

In:    HTTP.
Out:   JSON.
Never: part of Weir; it stands for what a company already has.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

PEOPLE = web.AppKey("people", dict[str, dict[str, str]])
SEEN = web.AppKey("seen", list[dict[str, str]])
MOST_SEEN = 1000


def first_people() -> dict[str, dict[str, str]]:
    """Three people to begin with."""
    rows = [("e-100", "Ada", "Byron", "engineering"), ("e-101", "Grace", "Murray", "engineering"),
            ("e-102", "Mary", "Anning", "support")]
    return {number: {"number": number, "first": first, "last": last, "unit": unit,
                     "mail": f"{first.lower()}@example.com"} for number, first, last, unit in rows}


async def person(request: web.Request) -> web.Response:
    """One person by number."""
    found = request.app[PEOPLE].get(request.match_info["number"])
    return web.json_response(found or {"error": "unknown"}, status=200 if found else 404)


async def search(request: web.Request) -> web.Response:
    """People, optionally of one unit."""
    unit, limit = request.query.get("unit"), int(request.query.get("limit", "100"))
    found = [one for one in request.app[PEOPLE].values() if unit in (None, one["unit"])]
    return web.json_response({"people": found[:limit]})


async def create(request: web.Request) -> web.Response:
    """A new person."""
    people = request.app[PEOPLE]
    number = f"e-{100 + len(people)}"
    people[number] = {**await request.json(), "number": number}
    return web.json_response(people[number], status=201)


async def slow(request: web.Request) -> web.Response:
    """Answers after `seconds`, at most ten."""
    await asyncio.sleep(min(float(request.query.get("seconds", "2")), 10))
    return web.json_response({"report": "done"})


async def broken(_: web.Request) -> web.Response:
    """Always 500."""
    return web.json_response({"error": "broken"}, status=500)


async def seen(request: web.Request) -> web.Response:
    """The paths and trace contexts of the calls so far."""
    return web.json_response(request.app[SEEN])


async def ready(_: web.Request) -> web.Response:
    """Always 200."""
    return web.json_response({"status": "ok"})


@web.middleware
async def remember(request: web.Request,
                   handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Keep what came in, so that tests can see what the workflows sent."""
    calls = request.app[SEEN]
    calls.append({"path": request.path, "traceparent": request.headers.get("traceparent", "")})
    del calls[:-MOST_SEEN]
    return await handler(request)


def app() -> web.Application:
    """The whole system."""
    application = web.Application(middlewares=[remember])
    application[PEOPLE], application[SEEN] = first_people(), []
    application.add_routes([
        web.get("/people/{number}", person), web.get("/people", search), web.post("/people", create),
        web.get("/slow", slow), web.get("/broken", broken), web.get("/seen", seen), web.get("/-/ready", ready)])
    return application


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=8090)
    chosen = arguments.parse_args()
    web.run_app(app(), host=chosen.host, port=chosen.port, print=None)
