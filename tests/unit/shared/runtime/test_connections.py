"""What cannot be read is refused like anything else, and nobody hears what stood in it; raw sockets against servers."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web

from shared.errors import Refused
from shared.names import actions
from shared.runtime.connections import AppRunner, Connection, Server
from shared.runtime.health import Health, HealthServer
from shared.telemetry.logs import JsonLines
from shared.telemetry.metrics import Metrics

SECRET = "c2lnbmF0dXJlc2VjcmV0"
ASKED = b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n"
UNREADABLE = {
    "blank before the colon": ASKED % (b"/", f"Webhook-Signature : v1,{SECRET}".encode()),
    "control character": ASKED % (b"/", f"X-Api-Key: {SECRET}\x01".encode()),
    "nul": ASKED % (b"/", f"Authorization: Token {SECRET}\0".encode()),
    "long line": ASKED % (b"/", f"Cookie: s={SECRET}{'y' * 9_000}".encode()),
    "query": ASKED % (f"/?key={SECRET}\x01".encode(), b"A: b"),
    "request line": ASKED % (f"/?key={SECRET} x".encode(), b"A: b"),
    "method": f"GE@T /?key={SECRET} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "long address": ASKED % (f"/?key={SECRET}{'y' * 9_000}".encode(), b"A: b"),
    "chunk": ASKED % (b"/", b"Transfer-Encoding: chunked") + f"5\r\nhello\r\n{SECRET}\r\n".encode(),
    "coding": ASKED % (b"/", b"Content-Encoding: gzip\r\nContent-Length: 20") + SECRET.encode()}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All that is logged, as it would stand in the log."""
    written, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(written), root.level
    handler.setFormatter(JsonLines({}))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


async def handle(request: web.BaseRequest) -> web.StreamResponse:
    if request.path == "/broken":
        raise RuntimeError(f"Bearer {SECRET}")
    if request.path == "/late":
        raise TimeoutError
    if request.path == "/seen":
        return web.Response(text=f"seen: {request.headers.getall('X-Seen', [])}")
    return web.Response(body=b"" if request.path == "/lazy" else await request.read())


def low_level() -> web.BaseRunner:
    return web.ServerRunner(Server(handle, access_log=None))


def application() -> web.BaseRunner:
    made = web.Application()
    made.router.add_route("*", "/{path:.*}", handle)
    return AppRunner(made, access_log=None)


@pytest.fixture(params=[low_level, application])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    runner: web.BaseRunner = request.param()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


async def say(port: int, message: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers, body of all that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message)
    head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    writer.close()
    status, *fields = head.decode().split("\r\n")
    return status, dict(field.split(": ", 1) for field in fields), body


@pytest.mark.parametrize("message", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_is_a_problem_and_its_words_are_nowhere(
        port: int, lines: io.StringIO, message: bytes) -> None:
    status, headers, body = await say(port, message)
    assert status.split(" ")[1] == "400"
    assert (headers["Content-Type"], headers["Server"]) == ("application/problem+json", "weir")
    told = json.loads(body)
    assert (told["code"], told["status"], told["title"]) == ("input-invalid", 400, "The HTTP message cannot be read")
    assert told["request_id"] == headers["X-Request-Id"]
    assert ("longer than 8190 bytes" in told["detail"]) is (len(message) > 9_000)
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert (actions.MESSAGE_UNREADABLE, told["request_id"]) in [
        (line["action"], line.get("request_id")) for line in logged]
    for anywhere in (lines.getvalue(), body.decode(), str(headers)):
        assert SECRET not in anywhere
        assert "Traceback" not in anywhere


CHUNKED = ASKED % (b"/", b"Transfer-Encoding: chunked")
NEXT = ASKED % (b"/seen", b"Content-Length: 0")
TRAILER = b"0\r\nX-Seen: %s\r\n\r\n" % SECRET.encode()


@pytest.mark.parametrize("parts", [
    [CHUNKED + b"2\r\n{}\r\n" + TRAILER, NEXT], [CHUNKED + TRAILER + NEXT], [CHUNKED, TRAILER + NEXT],
    [CHUNKED + b"0\r\nX-Seen: 1", b"0\r\n\r\n", NEXT],
    # the last part of all that has come looks like the end of a body without trailers, and is that of another one
    [CHUNKED + TRAILER + CHUNKED.replace(b"POST / ", b"POST /seen ") + b"0\r\n\r\n"],
    [CHUNKED.replace(b"Host", b"Connection: upgrade\r\nUpgrade: websocket\r\nHost") + TRAILER + NEXT],
    [NEXT.replace(b"Host", b"Connection: upgrade\r\nUpgrade: websocket\r\nHost") + CHUNKED + TRAILER + NEXT],
    [(NEXT + CHUNKED + b"0\r\n\r\n") * 15 + CHUNKED + TRAILER + NEXT + CHUNKED + b"0\r\n\r\n"]],
    ids=["then", "at once", "in the end", "split", "behind another body", "upgrade", "behind an upgrade", "many"])
async def test_trailer_of_a_body_is_never_a_header_of_the_next_request(port: int, parts: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0.02)
    heard = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert heard.count(b"seen: ") == heard.count(b"seen: []")


@pytest.mark.parametrize("parts", [
    [CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"], [CHUNKED, b"0\r\n\r\n"], [CHUNKED + b"2\r\n{}\r\n0", b"\r\n\r\n"]])
async def test_connection_goes_on_behind_a_body_without_trailers(port: int, parts: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in [*parts, NEXT]:
        writer.write(part)
        await asyncio.sleep(0.02)
    await asyncio.wait_for(reader.readuntil(b"seen: []"), 5)
    writer.close()


@pytest.mark.parametrize("asked", [CHUNKED + TRAILER, CHUNKED.replace(b"POST /", b"POST /lazy") + b"1\r\na\r\n"])
async def test_answer_says_that_its_connection_ends(port: int, asked: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked)
    assert b"\r\nConnection: close\r\n" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.write(b"0\r\n\r\n")
    await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_chunk_that_cannot_be_read_is_told_at_once_though_its_head_came_before(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in (CHUNKED + b"2\r\n{}\r\n", b"zz\r\n"):
        writer.write(part)
        await asyncio.sleep(0.02)
    heard = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"X-Request-Id: ") == 1


@pytest.mark.parametrize("coding", [b"br", b"zstd"])
async def test_coding_that_nobody_here_knows_is_told_with_those_that_are(port: int, coding: bytes) -> None:
    status, headers, body = await say(
        port, ASKED % (b"/", b"Content-Encoding: %s\r\nContent-Length: 2" % coding) + b"{}")
    assert (status.split(" ")[1], headers["Accept-Encoding"]) == ("415", "gzip, deflate")
    assert json.loads(body)["code"] == "media-type-unsupported"


async def test_body_that_nobody_has_read_is_not_told_either(port: int, lines: io.StringIO) -> None:
    status, *_ = await say(port, UNREADABLE["coding"].replace(b"POST / ", b"POST /lazy "))
    assert status.endswith("200 OK")
    assert json.loads(lines.getvalue().splitlines()[-1])["action"] == actions.MESSAGE_UNREADABLE
    assert "Traceback" not in lines.getvalue()


@pytest.mark.parametrize(("path", "error"), [(b"/broken", "RuntimeError: Bearer [masked]"), (b"/late", "TimeoutError")])
async def test_error_of_our_own_is_told_with_where_it_was(
        port: int, lines: io.StringIO, path: bytes, error: str) -> None:
    status, headers, body = await say(port, ASKED % (path, b"A: b"))
    assert (status.split(" ")[1], json.loads(body)["request_id"]) == ("500", headers["X-Request-Id"])
    [line] = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["level"] == "error"]
    assert (line["action"], line["request_id"]) == (actions.REQUEST_FAILED, headers["X-Request-Id"])
    assert line["error"].startswith("Traceback")
    assert error in line["error"]


async def test_each_is_counted_once(lines: io.StringIO) -> None:
    counted = list[Refused]()

    class Counting(Connection):
        __slots__ = ()

        def refused(self, error: Refused) -> None:
            counted.append(error)

    class Counter(Server):
        def __call__(self) -> Connection:
            return Counting(self, loop=self._loop, access_log=None)
    runner = web.ServerRunner(Counter(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    for path in (b"/broken", b"/lazy"):
        await say(runner.addresses[0][1], ASKED % (path, b"Connection: close"))
    for message in UNREADABLE.values():
        await say(runner.addresses[0][1], message)
    await runner.cleanup()
    assert len(counted) == len(UNREADABLE)


async def test_servers_of_health_say_no_more(lines: io.StringIO) -> None:
    server = HealthServer(Health("policy", Metrics()), "127.0.0.1", 0)
    await server.start()
    assert server._runner is not None
    status, headers, body = await say(server._runner.addresses[0][1], UNREADABLE["nul"])
    await server.stop()
    assert (status.split(" ")[1], headers["Server"], json.loads(body)["code"]) == ("400", "weir", "input-invalid")
    assert SECRET not in lines.getvalue() + body.decode()
