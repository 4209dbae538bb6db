"""A company register for the example: every third call fails, as registers do.

In:    HTTP.
Out:   JSON.
Never: part of Weir; it stands for a system of somebody else.
"""

import argparse

from aiohttp import web

CALLS = web.AppKey("calls", list[str])
EMPLOYEES = {"example.com": 700, "example.org": 250}


async def company(request: web.Request) -> web.Response:
    """A company by its domain."""
    calls, domain = request.app[CALLS], request.match_info["domain"]
    calls.append(domain)
    if domain == "example.net" or len(calls) % 3 == 0:
        return web.json_response({"error": "busy"}, status=503, headers={"Retry-After": "0"})
    return web.json_response({"employees": EMPLOYEES.get(domain, 1)})


def application() -> web.Application:
    """The register."""
    app = web.Application()
    app[CALLS] = []
    app.router.add_get("/companies/{domain}", company)
    return app


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8092)
    web.run_app(application(), host="127.0.0.1", port=arguments.parse_args().port, print=None)
