"""Two systems for the example: facts about places, and their weather, which is not always known.

In:    HTTP.
Out:   JSON.
Never: part of Weir; it stands for systems of somebody else.
"""

import argparse

from aiohttp import web

FACTS = {
    "bern": {"people": 134_000, "neighbours": [{"name": "bern", "km": 0}, {"name": "thun", "km": 26},
                                               {"name": "geneva", "km": 160}, {"name": "biel", "km": 30}]},
    "thun": {"people": 44_000, "neighbours": [{"name": "bern", "km": 26}]},
}
SKY = {"bern": "clear"}


async def facts(request: web.Request) -> web.Response:
    """What is known about a place."""
    found = FACTS.get(request.match_info["name"])
    return web.json_response(found or {"error": "unknown"}, status=200 if found else 404)


async def weather(request: web.Request) -> web.Response:
    """The sky above it."""
    sky = SKY.get(request.match_info["name"])
    return web.json_response({"sky": sky} if sky else {"error": "no station"}, status=200 if sky else 500)


def application() -> web.Application:
    """Both."""
    app = web.Application()
    app.router.add_get("/facts/{name}", facts)
    app.router.add_get("/weather/{name}", weather)
    return app


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8093)
    web.run_app(application(), host="127.0.0.1", port=arguments.parse_args().port, print=None)
