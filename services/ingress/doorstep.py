"""Who was refused for what its head says, and comes again with the same bytes, is refused without being read again.

In:    what arrives on a connection; heads that were refused.
Out:   the bytes of a refusal, at once; everything else to aiohttp.
Never: a decision: `again.py` looks anew at who is blocked and at how many are under way.

Reading a request, and a task for it, cost several times what a refusal does, and those who are refused come often: a
blocked caller tries again, and in an overload most of what comes is refused. They mostly send the same head each time.

A head is known by a digest of all of its bytes, so nothing is taken for what it is not. While nobody can come in at
all, whatever its head says, a head that is not known is taken for what it is if nothing in it is unusual (`plain`).

Connections are answered here only while nothing is under way on them, and only if each arrival so far was one whole
message, so that the next one begins with its first byte.
"""

import asyncio
import logging
import math
import re
import sys
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple, cast

import orjson
from aiohttp import StreamReader, web

from shared.clock import SystemClock
from shared.contracts import ids
from shared.errors import Overloaded, Refused, problem
from shared.names import actions
from shared.names import headers as H
from shared.runtime import connections

log = logging.getLogger(__name__)
# it is told once in so long that connections are refused
_WHILE_S = 5.0
_END, _LENGTH, _CODING = b"\r\n\r\n", b"\r\ncontent-length:", b"\r\ntransfer-encoding:"
# larger ones are read as ever; more are forgotten all together
_LONGEST, _MOST = 4_096, 4_096
# of a length that a machine can mean; Python reads no number of thousands
_DIGITS = 19
# an address, and all that a keyed digest takes for a key
_REMOTE = 64
# a request without a doubt (RFC 9112, 3 and 5): the path from the root, fields of one line each
_REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (/[!-~]*) HTTP/1\.1\r\n"
                      rb"((?:[-!#$%&'*+.^_`|~0-9A-Za-z]+:[^\r\n\0]*\r\n)*)\r\n")
# what makes a difference for who answers, or how
_UNUSUAL = re.compile(
    f"^(?:connection|keep-alive|proxy-connection|upgrade|expect|transfer-encoding|forwarded|{H.TRACEPARENT}|"
    f"{H.HTTP_TRACE}):".encode(), re.IGNORECASE | re.MULTILINE)
_FIELDS = re.compile(rb"^(content-length|origin|x-forwarded-for):([^\r]*)\r$", re.IGNORECASE | re.MULTILINE)

Again = Callable[[], bytes | None]
Count = Callable[[Refused], None]


class Plain(NamedTuple):
    """A request that arrived whole, and in which nothing is unusual. `path` without its query."""

    method: str
    path: str
    origin: str | None
    forwarded_for: str


Stranger = Callable[[Plain, str], bytes | None]


class Heads:
    """Those that were refused lately, and what tells the refusal of the next one.

    `crowded`: asked of each whose head is not known, whether nobody can come in now, whatever a head says; `stranger`:
    the refusal, then, of a request from such an address, or None for one that is to be read.
    """

    def __init__(self) -> None:
        """None yet."""
        self._known: dict[bytes, tuple[int, Again]] = {}
        self.crowded: Callable[[], bool] = lambda: False
        self.stranger: Stranger = lambda _asked, _remote: None

    def __bool__(self) -> bool:
        return bool(self._known)

    def find(self, data: bytes, remote: bytes) -> Again | None:
        """What is known of a message of exactly these bytes. `remote`: who sends it, a proxy or not."""
        end = data.find(_END, 0, _LONGEST)
        size, again = self._known.get(_mark(data[:end], remote), (0, None)) if end > 0 else (0, None)
        return again if size == len(data) else None

    def put(self, data: bytes, remote: bytes, again: Again) -> None:
        """This message was refused; `again` tells whether the next one like it is, too, or has to be read."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[_mark(data[:data.find(_END)], remote)] = len(data), again

    def forget(self) -> None:
        """All of them."""
        self._known.clear()


def _mark(head: bytes, remote: bytes) -> bytes:
    # a head has secrets in it, which are kept nowhere; whose it is depends on who sends it
    return blake2b(head, digest_size=16, key=remote).digest()


def is_whole(data: bytes) -> bool:
    """Whether it is exactly one message, of a length that its head tells."""
    end = data.find(_END)
    if end < 0:
        return False
    head = data[:end].lower()
    at = head.find(_LENGTH)
    if at < 0:
        return end + len(_END) == len(data) and _CODING not in head
    length = head[at + len(_LENGTH):].partition(b"\r\n")[0].strip()
    return (length.isdigit() and len(length) <= _DIGITS and end + len(_END) + int(length) == len(data)
            and _CODING not in head)


def plain(data: bytes) -> Plain | None:
    """What arrived, if it is one whole message and nothing in it is unusual."""
    found = _REQUEST.match(data, 0, _LONGEST)
    if found is None or _UNUSUAL.search(found[3]) is not None:
        return None
    fields: dict[bytes, list[bytes]] = {}
    for name, value in _FIELDS.findall(found[3]):
        # not the expression's work: it would look for the end of the value at each of many blanks
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    lengths, origins = fields.get(b"content-length", [b"0"]), fields.get(b"origin", [])
    if (len(lengths) > 1 or len(origins) > 1 or not lengths[0].isdigit()
            or found.end() + int(lengths[0]) != len(data)):
        return None
    return Plain(found[1].decode(), found[2].partition(b"?")[0].decode(),
                 origins[0].decode(errors="replace") if origins else None,
                 b", ".join(fields.get(b"x-forwarded-for", ())).decode(errors="replace"))


class Connection(connections.Connection):
    """One caller's connection."""

    __slots__ = ("_arrival", "_count", "_heads", "_in_step", "_newest", "_server", "_under_way", "is_half", "remote")

    def __init__(self, server: "Server", heads: Heads, count: Count, **aiohttps: Any) -> None:
        """Nobody is connected."""
        super().__init__(server, **aiohttps)
        self._server, self._heads, self._count = server, heads, count
        # what came last, if its head is short; whether each arrival was one message
        self._arrival, self._in_step, self._under_way, self.remote = b"", True, 0, b""
        # whether the caller has said that it sends no more; the body of the newest request
        self.is_half = False
        self._newest: StreamReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come; where too many are here already, that is all that is said."""
        super().connection_made(transport)
        if self._server.full:
            self._server.turn_away(transport)
            self.force_close()
            return
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0] if isinstance(peer, tuple) else peer).encode()[:_REMOTE]

    @property
    def ends(self) -> bool:
        """Whether it ends with the answer that is under way."""
        return super().ends or self._server.winding_up or (self.is_half and not self._messages)

    def wind_up(self) -> None:
        """End, if nothing is under way. One over which nothing has come yet hears it with its first answer: whoever has
        just opened it does not try again elsewhere by itself."""
        if self._request_count and self._quiet:
            self.force_close()

    def refused(self, error: Refused) -> None:
        """What came could not be read."""
        self._count(error)

    def answered(self, *, unread: bool = False) -> None:
        """All of an answer is written; aiohttp takes a moment more until it waits for the next request.

        `unread`: the body is left as it is, and the connection ends; else aiohttp reads it to its end.
        """
        self._under_way -= 1
        if unread:
            self._lingering_time = 0.0

    @property
    def _quiet(self) -> bool:
        """Whether nothing is under way."""
        if self._under_way and self._waiter is not None and not self._waiter.done():
            # answers in parts, and those of aiohttp itself
            self._under_way = 0
        return not self._under_way

    @property
    def arrival(self) -> bytes:
        """All bytes of the request under way; empty where they are not known."""
        return self._arrival if self._in_step and not self._messages else b""

    def data_received(self, data: bytes) -> None:
        """Refuse at once, or let aiohttp read."""
        if self._in_step and data:
            if self._heads and self._quiet and not self.writing_paused:
                refusal = None if self.ends else self._refusal(data)
                if refusal is not None and self.transport is not None:
                    self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
                    self.transport.write(refusal)
                    return
            self._in_step = is_whole(data)
            self._arrival = data if self._in_step and len(data) <= _LONGEST else b""
            self._under_way += 1
        known = self._request_count
        super().data_received(data)
        if self._request_count != known:
            self._newest = self._messages[-1][1]

    def eof_received(self) -> bool:  # type: ignore[override]  # what it gives says whether the connection stays
        """The caller sends no more, and may wait for its answers all the same, as `nc -N` does: the connection stays
        for those of requests that have come whole."""
        self.is_half = True
        # aiohttp waits for a request, has one, or has not looked yet whether one has come
        waits, has_come = self._waiter is not None, self._waiter is not None and self._waiter.done()
        if self._newest is None or not self._newest.is_eof() or (waits and not has_come):
            return False
        self._close = self._close or len(self._messages) <= has_come
        return True

    def _refusal(self, data: bytes) -> bytes | None:
        again = self._heads.find(data, self.remote)
        if again is not None:
            return again()
        asked = plain(data) if self._heads.crowded() else None
        return None if asked is None else self._heads.stranger(asked, self.remote.decode())


def is_half(request: web.BaseRequest) -> bool:
    """Whether its caller sends no more: whoever says so only later has mostly gone."""
    return isinstance(request.protocol, Connection) and request.protocol.is_half


class Server(web.Server):
    """aiohttp's low-level server, with these connections."""

    def __init__(self, handler: Callable[..., object], heads: Heads, count: Count = lambda _error: None,
                 most: int = sys.maxsize) -> None:
        """Inside the running loop. `count`: what is told of each message that could not be read; `most`: how many
        connections there may be."""
        super().__init__(handler)  # type: ignore[arg-type]  # an answer of any kind
        self._heads, self._count, self._most, self._open, self._told_s = heads, count, most, 0, -math.inf
        self.winding_up = False

    def __call__(self) -> Connection:
        """A connection for a new caller."""
        return Connection(self, self._heads, self._count, loop=self._loop, access_log=None, auto_decompress=False)

    async def wind_up(self) -> None:
        """Each connection ends with the answer that is under way on it, at once where there is none."""
        self.winding_up = True
        for connection in list(self.connections):
            # what has come by now is read, also while the others were ended
            await asyncio.sleep(0)
            if isinstance(connection, Connection):
                connection.wind_up()

    @property
    def full(self) -> bool:
        """Whether there are more connections than there may be."""
        return self._open > self._most

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """One more."""
        super().connection_made(handler, transport)
        self._open += 1

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """One less."""
        super().connection_lost(handler, exc)
        self._open -= 1

    def turn_away(self, transport: asyncio.BaseTransport) -> None:
        """Say that there are too many."""
        error = Overloaded(f"{self._most} connections are open here, and no more can be; try again shortly")
        if self._loop.time() - self._told_s > _WHILE_S:
            self._told_s = self._loop.time()
            log.warning("connections are refused: %s (ulimit -n)", error, extra={"action": actions.CONNECTIONS_REFUSED})
        body = orjson.dumps(problem(error, ids.request_id(SystemClock().now_ms())))
        cast(asyncio.Transport, transport).write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\nContent-Length: %d\r\nRetry-After: 1\r\n"
            b"Server: %s\r\nConnection: close\r\n\r\n%s" % (
                H.PROBLEM_JSON.encode(), len(body), H.SERVER.encode(), body))
