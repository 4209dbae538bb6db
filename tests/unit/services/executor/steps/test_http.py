"""The http step against real HTTP: what goes out, what comes back, where it may go."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.errors import UpstreamFailed, WorkflowFailed
from tests.unit.services.executor.test_walk import body_of, error_of, reply

Json = dict[str, Any]


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({
            "method": request.method, "query": sorted(request.query.items()), "type": request.content_type,
            "body": (await request.read()).decode("latin-1"), "secret": request.headers.get("authorization")})

    async def go(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]), headers={"Location": request.query["to"]})

    async def raw(request: web.Request) -> web.Response:
        return web.Response(body=b"\xff\x00{", headers={"Content-Type": request.query["type"]})

    application = web.Application()
    application.router.add_route("*", "/echo", echo)
    application.router.add_route("*", "/go/{status}", go)
    application.router.add_get("/raw", raw)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


def call(url: str, **settings: Any) -> Json:
    return {"id": "call", "http": {"url": url, **settings}}


async def echoed(url: str, **settings: Any) -> Any:
    return await body_of(call(url, **settings), reply("{% steps.call.body %}"), trigger={"n": 7})


@pytest.mark.parametrize(("settings", "kind", "body"), [
    ({"body": {"n": "{% trigger.n %}"}}, "application/json", '{"n":7}'), ({"body": "plain"}, "text/plain", "plain"),
    ({"form": {"a": "{% trigger.n %}", "b": ["x", "y z"], "c": None}}, "application/x-www-form-urlencoded",
     "a=7&b=x&b=y+z"),
    ({"binary": base64.b64encode(b"\x00\xff").decode()}, "application/octet-stream", "\x00\xff"),
    ({"binary": "AAE=", "headers": {"Content-Type": "image/png"}}, "image/png", "\x00\x01")])
async def test_body_of_each_kind(base: str, settings: Json, kind: str, body: str) -> None:
    made = await echoed(f"{base}/echo", method="POST", **settings)
    assert (made["type"], made["body"]) == (kind, body)


async def test_query_takes_lists_and_leaves_out_null(base: str) -> None:
    made = await echoed(f"{base}/echo?a=0", query={"a": [1, 2], "b": None, "c": "{% trigger.n %}", "d": True})
    assert made["query"] == [["a", "0"], ["a", "1"], ["a", "2"], ["c", "7"], ["d", "true"]]


@pytest.mark.parametrize(("parse", "kind", "body"), [
    ("base64", "image/png", "/wB7"), ("text", "application/json", "\ufffd\x00{"),
    ("auto", "text/plain; charset=latin-1", "ÿ\x00{"),
    ("auto", "text/plain; charset=nonsense", "\ufffd\x00{")])
async def test_response_is_read_as_the_step_says(base: str, parse: str, kind: str, body: str) -> None:
    assert await echoed(f"{base}/raw", query={"type": kind}, parse=parse) == body


@pytest.mark.parametrize(("status", "method", "arrives"), [
    (302, "POST", "GET"), (303, "PUT", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT"), (301, "GET", "GET")])
async def test_redirects_are_followed(base: str, status: int, method: str, arrives: str) -> None:
    made = await echoed(f"{base}/go/{status}", method=method, query={"to": "/echo"}, body={"n": 1},
                        headers={"Authorization": "mine"})
    assert (made["method"], made["secret"]) == (arrives, "mine")
    assert made["body"] == ("" if arrives != method else '{"n":1}')


async def test_redirects_end_where_the_step_says(base: str) -> None:
    to = {"to": f"{base}/go/302?to=/echo"}
    assert (await error_of(call(f"{base}/go/302", query=to, redirects=1), reply())).members["upstream_status"] == 302
    assert (await echoed(f"{base}/go/302", query=to, redirects=2))["method"] == "GET"


async def test_secret_header_stays_with_its_host(base: str) -> None:
    other = base.replace("127.0.0.1", "localhost")
    made = await body_of(call(f"{base}/go/302", query={"to": f"{other}/echo"}, headers={"Authorization": "mine"}),
                         reply("{% steps.call.body %}"), allow=("127.0.0.0/8", "::1/128"))
    assert made["secret"] is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/",
                                 "http://[::ffff:127.0.0.1]:1/"])
async def test_private_address_is_refused_however_it_is_written(url: str) -> None:
    error = await error_of(call(url), reply(), allow=())
    assert error.members["error"] == "address-refused", error
    assert "127" not in str(error)


@pytest.mark.parametrize("url", ["http://127.1:1/", "http://2130706433:1/", "http://0x7f000001:1/"])
async def test_number_that_stands_for_an_address_is_none(url: str) -> None:
    error = await error_of(call(url), reply(), allow=("127.0.0.0/8",))
    assert isinstance(error, WorkflowFailed | UpstreamFailed)
    assert "cannot be called" in str(error) or "could not be reached" in str(error)


async def test_redirect_to_a_private_address_is_refused(base: str) -> None:
    for to in ("http://127.0.0.2:1/", "http://169.254.169.254/latest/meta-data"):
        error = await error_of(call(f"{base}/go/302", query={"to": to}), reply(), allow=("127.0.0.1/32",))
        assert error.members["error"] == "address-refused"


async def test_header_that_cannot_be_sent_is_the_workflows_fault(base: str) -> None:
    error = await error_of(call(f"{base}/echo", headers={"x-a": "a\r\nb: c"}), reply())
    assert (error.status, error.members["step"]) == (500, "call")
    assert "cannot be sent" in str(error)
