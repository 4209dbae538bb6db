"""A webhook that verifies what it gets."""

import base64
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web


class Hook:
    """Takes messages whose signature fits, after so many refusals."""

    def __init__(self, key: bytes, refusals: int = 0) -> None:
        """Nothing taken."""
        self.key, self.refusals, self.tried = key, refusals, 0
        self.taken: list[tuple[str, Any]] = []
        self.url = ""

    @property
    def data(self) -> list[Any]:
        """The signals of the messages, as they came."""
        return [event["data"] for _, event in self.taken]

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tried += 1
        if self.tried <= self.refusals:
            return web.Response(status=503)
        name, told = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        signature = base64.b64encode(hmac.digest(self.key, f"{name}.{told}.".encode() + body, "sha256")).decode()
        if request.headers["webhook-signature"] != f"v1,{signature}":
            return web.Response(status=401)
        self.taken.append((name, orjson.loads(body)))
        return web.Response()


@asynccontextmanager
async def listening(hook: Hook) -> AsyncIterator[Hook]:
    """The webhook at an address of its own."""
    application = web.Application()
    application.router.add_post("/hook", hook._take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield hook
    await runner.cleanup()
