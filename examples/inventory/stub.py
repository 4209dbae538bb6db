"""A supplier for the example: articles in memory, reservations that know their idempotency keys.

In:    HTTP.
Out:   JSON.
Never: part of Weir; it stands for what a company already has.
"""

import argparse

from aiohttp import web

STOCK = web.AppKey("stock", dict[str, int])
KNOWN = web.AppKey("known", dict[str, web.Response])
PRICE = 3


async def level(request: web.Request) -> web.Response:
    """What is left of an article."""
    left = request.app[STOCK].get(request.match_info["sku"])
    return web.json_response({"left": left}, status=404 if left is None else 200)


async def levels(request: web.Request) -> web.Response:
    """What is left of all articles."""
    return web.json_response(request.app[STOCK])


async def reserve(request: web.Request) -> web.Response:
    """Take some pieces; the same key takes them once."""
    stock, known = request.app[STOCK], request.app[KNOWN]
    key, wanted = request.headers.get("idempotency-key", ""), await request.json()
    if not key or key not in known:
        left = stock.get(wanted["sku"], 0) - wanted["pieces"]
        status = 201 if left >= 0 else 409
        if status == 201:
            stock[wanted["sku"]] = left
        known[key] = web.json_response({"price": PRICE * wanted["pieces"]}, status=status)
    return web.json_response(body=known[key].body, status=known[key].status)


async def release(request: web.Request) -> web.Response:
    """Give some pieces back; the same key gives them back once."""
    stock, known = request.app[STOCK], request.app[KNOWN]
    key, given = request.headers.get("idempotency-key", ""), await request.json()
    if not key or key not in known:
        stock[given["sku"]] += given["pieces"]
        known[key] = web.Response(status=204)
    return web.Response(status=204)


def application() -> web.Application:
    """The supplier."""
    app = web.Application()
    app[STOCK] = {"apples": 40, "pears": 2, "plums": 0}
    app[KNOWN] = {}
    app.router.add_get("/stock/{sku}", level)
    app.router.add_get("/stock", levels)
    app.router.add_post("/reservations", reserve)
    app.router.add_post("/releases", release)
    return app


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8091)
    web.run_app(application(), host="127.0.0.1", port=arguments.parse_args().port, print=None)
