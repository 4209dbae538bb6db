"""Answers as bytes: what aiohttp would say in their place, and nothing that a header could add."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from services.ingress import message
from services.ingress.answer import Answer
from services.ingress.doorstep import Heads, Server
from shared.names.headers import SERVER

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
NOW_S = 1_700_000_000
HEAD = "Date: Tue, 14 Nov 2023 22:13:20 GMT"


class Wire(asyncio.Transport):
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)})
        self.written, self.closed = b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:  # type: ignore[type-arg]  # generic in newer stubs
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def speak() -> AsyncIterator[Callable[[Handler, bytes], Awaitable[Wire]]]:
    opened = []

    async def _speak(handler: Handler, request: bytes, make: Callable[[Handler], web.Server] = web.Server) -> Wire:
        protocol, wire = make(handler)(), Wire()
        protocol.connection_made(wire)
        opened.append(protocol)
        await settled()
        protocol.data_received(request)
        await settled()
        return wire
    yield _speak
    for protocol in opened:
        protocol.force_close()
        protocol.connection_lost(None)
    await settled()


def asked(method: str, version: str, *lines: str) -> bytes:
    return "\r\n".join((f"{method} / HTTP/{version}", "Host: x", *lines, "", "")).encode()


def taken_apart(raw: bytes) -> tuple[str, list[str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, sorted(line.lower() for line in lines if not line.startswith("Date: ")), body


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain", "X-A": "caf\u00e9 \t1"}], ids=["bare", "typed"])
@pytest.mark.parametrize("body", [b"", b"made"], ids=["empty", "body"])
@pytest.mark.parametrize("status", [200, 204, 304, 404, 503, 599])
@pytest.mark.parametrize("request_", [
    asked("GET", "1.1"), asked("GET", "1.1", "Connection: close"), asked("GET", "1.0"),
    asked("GET", "1.0", "Connection: keep-alive"), asked("HEAD", "1.1"), asked("HEAD", "1.0")],
    ids=["1.1", "1.1 close", "1.0", "1.0 keep-alive", "HEAD 1.1", "HEAD 1.0"])
async def test_answer_and_connection_are_those_of_the_librarys_own_response(
        speak: Callable[[Handler, bytes], Awaitable[Wire]], request_: bytes, status: int, body: bytes,
        headers: dict[str, str]) -> None:
    async def own(request: web.BaseRequest) -> web.StreamResponse:
        return await message.send(request, Answer(status, dict(headers), body), NOW_S)

    async def theirs(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, headers={**headers, "Server": SERVER}, body=body)

    made, wanted = await speak(own, request_), await speak(theirs, request_)
    assert taken_apart(made.written) == taken_apart(wanted.written)
    assert made.closed == wanted.closed
    assert HEAD in made.written.decode()


async def test_requests_that_follow_each_other_on_a_connection_are_each_answered(
        speak: Callable[[Handler, bytes], Awaitable[Wire]]) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await message.send(request, Answer(200, {}, await request.read()), NOW_S)
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
    wire = await speak(handler, one + b"a" + one + b"b")
    assert [part[-1:] for part in wire.written.split(b"HTTP/1.1 200 OK")[1:]] == [b"a", b"b"]


@pytest.mark.parametrize(("line", "arrived", "goes_on"), [
    ("Expect: 100-continue", b"", False), ("Expect: 100-continue", b"a", True), ("Expect: 100-continue", b"abc", True),
    ("Content-Encoding: gzip", b"a", True), ("X-A: 1", b"a", True)])
async def test_connection_ends_after_an_answer_that_comes_before_a_body_that_is_not_worth_waiting_for(
        speak: Callable[..., Awaitable[Wire]], line: str, arrived: bytes, goes_on: bool) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await message.send(request, Answer(413, {}, b""), NOW_S)
    wire = await speak(handler, asked("POST", "1.1", "Content-Length: 3", line) + arrived,
                       lambda handler: Server(handler, Heads()))
    assert wire.written.startswith(b"HTTP/1.1 413 ")
    assert (b"\r\nConnection: close\r\n" not in wire.written, wire.closed) == (goes_on, not goes_on)


@pytest.mark.parametrize("headers", [
    {"X-A": "1\r\nSet-Cookie: x"}, {"X-A": "1\n"}, {"X-A": "\x00"}, {"X-A\r\nX-B": "1"}, {"X-A": "\x7f"},
    {"X-A": "1", "X-B": "\r"}])
async def test_header_that_would_end_its_line_is_never_written(
        speak: Callable[[Handler, bytes], Awaitable[Wire]], headers: dict[str, str]) -> None:
    refused = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        with pytest.raises(ValueError, match="control character") as caught:
            await message.send(request, Answer(200, headers, b"made"), NOW_S)
        refused.append(caught)
        return web.Response(status=500)
    wire = await speak(handler, asked("GET", "1.1"))
    assert refused
    assert wire.written.startswith(b"HTTP/1.1 500 ")


async def test_answer_to_a_caller_that_has_gone_is_nobodys_error(
        speak: Callable[[Handler, bytes], Awaitable[Wire]]) -> None:
    kept = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        sent = await message.send(request, Answer(200, {}, b"made"), NOW_S)
        kept.append(sent.keep_alive)
        return sent
    wire = await speak(handler, asked("GET", "1.1"))
    assert (wire.written, kept) == (b"", [False])


async def test_caller_that_reads_slowly_gets_no_further_answer_made(
        speak: Callable[[Handler, bytes], Awaitable[Wire]]) -> None:
    under_way: list[web.BaseRequest] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        under_way.append(request)
        if len(under_way) == 1:
            request.protocol.pause_writing()
        return await message.send(request, Answer(200, {}, b"made"), NOW_S)
    wire = await speak(handler, asked("GET", "1.1") * 2)
    assert len(under_way) == 1
    under_way[0].protocol.resume_writing()
    await settled()
    assert wire.written.count(b"HTTP/1.1 200 OK") == 2
