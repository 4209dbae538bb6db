"""Refusals on the doorstep: the same bytes again, nothing else, and never in between."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from hypothesis import given
from hypothesis import strategies as st

from services.ingress.doorstep import Connection, Heads, Plain, Server, is_whole, plain
from shared.errors import Refused
from tests.unit.services.ingress.test_message import Wire, settled

ASKED = b"POST /p/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
OTHER = ASKED.replace(b"/p/x", b"/p/y")
NO = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


class Step:
    """A server that remembers each head that it has read, and what arrived with it."""

    def __init__(self) -> None:
        self.heads, self.refusal, self.read, self.asked = Heads(), NO, list[str](), 0
        self.busy: asyncio.Event | None = None
        self.unread = list[Refused]()
        self.server = Server(self.handle, self.heads, self.unread.append)
        self.opened = list[Connection]()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.read.append(request.raw_path)
        if self.busy is not None:
            await self.busy.wait()
        protocol = request.protocol
        assert isinstance(protocol, Connection)
        if protocol.arrival:
            self.heads.put(protocol.arrival, protocol.remote, self.again)
        return web.Response(status=200)

    def again(self) -> bytes | None:
        self.asked += 1
        return self.refusal or None

    async def connection(self) -> tuple[Connection, Wire]:
        connection, wire = self.server(), Wire()
        connection.connection_made(wire)
        self.opened.append(connection)
        await settled()
        return connection, wire


async def say(connection: Connection, wire: Wire, message: bytes) -> bytes:
    wire.written = b""
    connection.data_received(message)
    await settled()
    return wire.written


@pytest.fixture
async def step() -> AsyncIterator[Step]:
    made = Step()
    yield made
    for connection in made.opened:
        connection.force_close()
        connection.connection_lost(None)
    await settled()


async def test_same_bytes_are_refused_on_any_connection_without_being_read(step: Step) -> None:
    first, wire = await step.connection()
    assert (await say(first, wire, ASKED)).startswith(b"HTTP/1.1 200")
    assert await say(first, wire, ASKED) == NO
    second, wire = await step.connection()
    assert await say(second, wire, ASKED) == NO
    assert step.read == ["/p/x"], "it was read once"


@pytest.mark.parametrize("message", [
    OTHER, ASKED.replace(b"{}", b"[]x").replace(b": 2", b": 3"), ASKED.replace(b"Host: x", b"Host: y"),
    b"GET /p/x HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["path", "length", "header", "method"])
async def test_any_other_byte_of_a_head_is_read(step: Step, message: bytes) -> None:
    connection, wire = await step.connection()
    await say(connection, wire, ASKED)
    assert (await say(connection, wire, message)).startswith(b"HTTP/1.1 200")
    assert len(step.read) == 2


async def test_another_body_of_the_same_length_is_refused_too(step: Step) -> None:
    connection, wire = await step.connection()
    await say(connection, wire, ASKED)
    assert await say(connection, wire, ASKED.replace(b"{}", b"[]")) == NO, "a refusal looks at no body"


async def test_who_may_come_in_again_is_read(step: Step) -> None:
    connection, wire = await step.connection()
    await say(connection, wire, ASKED)
    step.refusal = b""
    assert (await say(connection, wire, ASKED)).startswith(b"HTTP/1.1 200")


async def test_while_nobody_can_come_in_a_head_that_nobody_knows_is_not_read(step: Step) -> None:
    connection, wire = await step.connection()
    await say(connection, wire, ASKED)
    came = list[tuple[Plain, str]]()

    def stranger(asked: Plain, remote: str) -> bytes | None:
        came.append((asked, remote))
        return NO
    step.heads.stranger = stranger
    assert (await say(connection, wire, OTHER)).startswith(b"HTTP/1.1 200"), "there is room"
    step.heads.crowded = lambda: True
    other = OTHER.replace(b"/p/y", b"/p/z?a=b").replace(b"Host: x", b"Host: x\r\nOrigin: https://o")
    assert await say(connection, wire, other) == NO
    assert came == [(Plain("POST", "/p/z", "https://o", ""), "192.0.2.1")]
    unusual = other.replace(b"Host: x", b"Host: x\r\nExpect: 200-maybe")
    assert not (await say(connection, wire, unusual)).startswith(NO)
    assert len(came) == 1


async def test_what_cannot_be_read_is_counted_and_its_words_are_not_said(step: Step) -> None:
    connection, wire = await step.connection()
    told = await say(connection, wire, ASKED.replace(b"Host: x", b"Webhook-Signature : v1,secret"))
    assert told.startswith(b"HTTP/1.0 400 Bad Request\r\nX-Request-Id: ")
    assert b"Content-Type: application/problem+json\r\n" in told
    assert b"secret" not in told
    assert [error.status for error in step.unread] == [400]
    assert wire.closed


async def test_answers_keep_the_order_of_their_requests(step: Step) -> None:
    connection, wire = await step.connection()
    await say(connection, wire, ASKED)
    step.busy = asyncio.Event()
    assert await say(connection, wire, OTHER) == b""
    assert await say(connection, wire, ASKED) == b"", "one is under way"
    step.busy.set()
    await settled()
    assert wire.written.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("first", [
    OTHER + ASKED[:10], OTHER[:-1], ASKED + OTHER,
    b"POST /p/y HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ids=["begins the next", "ends too soon", "two at once", "chunked"])
async def test_connection_whose_messages_do_not_come_one_by_one_is_read(step: Step, first: bytes) -> None:
    connection, wire = await step.connection()
    await say(connection, wire, ASKED)
    begun, wire = await step.connection()
    await say(begun, wire, first)
    asked = step.asked
    await say(begun, wire, ASKED)
    assert step.asked == asked, "nobody knows where a message begins there"


async def test_arrivals_in_pieces_are_not_remembered(step: Step) -> None:
    connection, wire = await step.connection()
    await say(connection, wire, ASKED[:20])
    assert (await say(connection, wire, ASKED[20:])).startswith(b"HTTP/1.1 200")
    assert not step.heads


async def test_who_reads_slowly_gets_no_refusals_piled_up(step: Step) -> None:
    connection, wire = await step.connection()
    await say(connection, wire, ASKED)
    connection.pause_writing()
    connection.data_received(ASKED)
    assert step.asked == 0
    connection.resume_writing()
    await settled()


def test_heads_are_bounded_and_hold_no_bytes_of_a_message() -> None:
    heads = Heads()
    for number in range(5_000):
        secret = b"GET / HTTP/1.1\r\nAuthorization: Bearer secret%d\r\n\r\n" % number
        heads.put(secret, b"192.0.2.1", lambda: NO)
    assert len(heads._known) <= 4_096
    assert all(b"secret" not in mark for mark in heads._known)
    assert heads.find(secret, b"192.0.2.1") is not None
    assert heads.find(secret, b"192.0.2.2") is None, "whose it is depends on who sends it"


@given(st.lists(st.sampled_from([b"X-A: content-length: 3", b"Content-Length: 3", b"content-length:3 ", b"X-B: 1",
                                 b"Transfer-Encoding: chunked", b"Content-Length: +3", b"Content-Length: 3, 3"]),
                max_size=3), st.sampled_from([b"", b"abc", b"abcd", b"\r\n\r\n"]))
async def test_whole_is_what_the_parser_takes_for_one_message(lines: list[bytes], body: bytes) -> None:
    message = b"\r\n".join((b"POST / HTTP/1.1", b"Host: x", *lines, b"", b"")) + body
    if not is_whole(message):
        return
    parser = web.Server(_nobody)()._parser
    assert parser is not None
    try:
        messages, _, tail = parser.feed_data(message + ASKED)
    except HttpProcessingError:
        return  # the connection ends with it
    assert [one[0].path for one in messages] == ["/", "/p/x"]
    assert not tail


LINES = [b"GET / HTTP/1.1", b"POST /p/x?q=/-/ HTTP/1.1", b"GET /p/a#b HTTP/1.1", b"GET http://x/p HTTP/1.1",
         b"OPTIONS / HTTP/1.1", b"GET /p HTTP/1.0", b"GET  /p HTTP/1.1", b"get /p HTTP/1.1",
         b"GET /\xc3\xa4 HTTP/1.1", b"GET /p/\t HTTP/1.1"]
FIELDS = [b"Host: x", b"X-A: content-length: 3", b"Content-Length: 3", b"content-length:3 ", b"Content-Length: +3",
          b"Content-Length: 3, 3", b"Content-Length : 3", b" Content-Length: 3", b"X-B: a\nContent-Length: 3",
          b"X-C: a\rContent-Length: 3", b"Transfer-Encoding: chunked", b"Connection: close", b"connection:\tclose",
          b"Upgrade: h2c", b"Expect: 100-continue", b"Origin: https://o ", b"X-Forwarded-For: 192.0.2.7", b"X-D: \0",
          b"X-Forwarded-For:198.51.100.1", b"traceparent: 00-0-0-00", b"X-Weir-Trace: 1", b"Forwarded: for=192.0.2.7"]


@given(st.sampled_from(LINES), st.lists(st.sampled_from(FIELDS), max_size=4),
       st.sampled_from([b"", b"abc", b"abcd", b"\r\n\r\n"]))
async def test_what_is_plain_is_one_message_to_the_parser_too(line: bytes, fields: list[bytes], body: bytes) -> None:
    message = b"\r\n".join((line, *fields, b"", b"")) + body
    asked = plain(message)
    if asked is None:
        return
    parser = web.Server(_nobody)()._parser
    assert parser is not None
    try:
        messages, upgraded, tail = parser.feed_data(message + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
    except HttpProcessingError:
        # it refuses such a message; a refusal of ours says no less, and the next one begins where it ends
        return
    [first, following] = [one[0] for one in messages]
    assert (first.method, first.path.partition("?")[0], first.headers.get("Origin")) == asked[:3]
    assert ", ".join(first.headers.getall("X-Forwarded-For", [])) == asked.forwarded_for
    assert following.path == "/next"
    assert (upgraded, tail, first.should_close, first.chunked) == (False, b"", False, False)
    assert not {"Expect", "traceparent", "Forwarded", "X-Weir-Trace"} & set(first.headers)


@pytest.mark.parametrize("line", LINES[:2])
def test_usual_requests_are_plain(line: bytes) -> None:
    asked = plain(b"\r\n".join((line, b"Host: x", b"Content-Length: 2", b"Authorization: Bearer t", b"", b"{}")))
    assert asked is not None
    assert asked.path == line.split()[1].decode().partition("?")[0]


def test_value_full_of_blanks_is_read_as_fast_as_another_one() -> None:
    usual, blank = (b"GET /p HTTP/1.1\r\nOrigin: x" + filled * 3_900 + b"y\r\n\r\n" for filled in (b"z", b" "))

    def took_s(message: bytes) -> float:
        began = time.perf_counter()
        assert plain(message) is not None
        return time.perf_counter() - began
    # 65 ms where each blank may be the beginning of the end, 20 us otherwise
    assert min(took_s(blank) for _ in range(5)) < 50 * min(took_s(usual) for _ in range(5))


async def _nobody(_: web.BaseRequest) -> web.StreamResponse:
    raise AssertionError("it is only parsed")


async def test_length_of_thousands_of_digits_is_told_as_unreadable(step: Step) -> None:
    message = b"POST /p/x HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n"
    assert not is_whole(message)
    connection, wire = await step.connection()
    assert b" 400 Bad Request\r\n" in await say(connection, wire, message)
    assert len(step.unread) == 1


async def test_connection_too_many_is_told_so_and_the_next_after_one_has_gone_is_served(
        step: Step, caplog: pytest.LogCaptureFixture) -> None:
    step.server = Server(step.handle, step.heads, most=1)
    first, wire = await step.connection()
    for _ in range(2):
        other, refused = await step.connection()
        assert refused.written.startswith(b"HTTP/1.1 503 ")
        assert json.loads(refused.written.partition(b"\r\n\r\n")[2])["code"] == "overloaded"
        assert not await say(other, refused, ASKED)
        other.connection_lost(None)
    assert [record.levelname for record in caplog.records] == ["WARNING"], "told once in a while"
    assert (await say(first, wire, ASKED)).startswith(b"HTTP/1.1 200")
    first.connection_lost(None)
    third, wire = await step.connection()
    assert await say(third, wire, ASKED) == NO, "known by now"
