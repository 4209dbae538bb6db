"""A stream of events to a real HTTP caller."""

import time

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from services.ingress.routes import Target
from services.ingress.streaming import EventStream
from shared.client.pending import Parts
from shared.contracts.reply import ReplyRecord
from shared.project.access.traffic import Change
from shared.project.model import Operation

OPERATION = Operation.model_validate({"name": "o", "method": "GET", "path": "/a", "workflow": "w", "mode": "events"})


async def test_stream_begins_with_the_headers_that_its_owner_wants() -> None:
    changes = [Change(remove=("x-accel-buffering",), set={"x-served-by": "weir", "cache-control": "no-cache"})]
    target = Target("p", OPERATION, {}, changes=changes)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        parts = Parts()
        for sequence, last in enumerate((False, True)):
            parts.take(ReplyRecord(request_id="r", status=200, body=b"{}", sequence=sequence, last=last,
                                   event="end" if last else "step", content_type="application/json"))
        stream = EventStream(request, parts, "r", heartbeat_s=1, end_s=time.monotonic() + 5)
        return await stream.run(await stream.first(), target, {"X-Request-Id": "r"})

    application = web.Application()
    application.router.add_get("/", handle)
    async with TestServer(application) as server, ClientSession() as http, http.get(server.make_url("/")) as answer:
        text = await answer.text()
    assert text.count("event:") == 2
    assert (answer.headers["Content-Type"], answer.headers["X-Request-Id"]) == ("text/event-stream", "r")
    assert (answer.headers.getall("Cache-Control"), answer.headers["X-Served-By"]) == (["no-cache"], "weir")
    assert "X-Accel-Buffering" not in answer.headers
