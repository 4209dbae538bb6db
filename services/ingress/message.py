"""An answer as the bytes that go over a connection (RFC 9112), written at once.

In:    status, headers and body; what the request says of its connection.
Out:   the bytes; what is left for aiohttp to know of an answer that is on its way: whether its connection goes on.
Never: a line that ends early: an answer with such a header is not written; an answer in parts (`streaming.py`).

aiohttp's own response costs a third of what the rest of a request does. This one carries over what that one decides:
which answers have a body and a length, and what is said of the connection.
"""

import asyncio
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from aiohttp import HttpVersion, HttpVersion10, HttpVersion11, web

from services.ingress.answer import Answer, fits
from services.ingress.doorstep import Connection
from shared.errors import BodyTooSlow
from shared.names import headers as H

_REASONS = {status.value: status.phrase for status in HTTPStatus}
# RFC 9110, 6.4.1: neither a body, nor a length that says how long it would be
_BODILESS = frozenset((204, 304, *range(100, 200)))
# whoever reads nothing for so long reads no more
_STILL_S = 60.0


class Manner(Protocol):
    """What a request says of how it is answered."""

    @property
    def method(self) -> str:
        """As it came."""
        ...

    @property
    def version(self) -> HttpVersion:
        """Of the protocol."""
        ...


class Sent(web.StreamResponse):
    """An answer that is on its way: nothing of it is left to be written. There are two, for every request."""

    def __init__(self, *, keep_alive: bool) -> None:
        """`keep_alive`: whether the connection goes on."""
        super().__init__()
        self._goes_on = keep_alive

    @property
    def keep_alive(self) -> bool:
        """Whether the connection goes on."""
        return self._goes_on

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to be prepared."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be written."""


_GOES_ON, _CLOSED = Sent(keep_alive=True), Sent(keep_alive=False)


async def send(request: web.BaseRequest, answer: Answer, now_s: int) -> web.StreamResponse:
    """Write to the caller, if it is still there. Raises ValueError for a header that no message may have."""
    unread, transport, connection = _leaves_unread(request, answer.status), request.transport, request.protocol
    ends = unread or (isinstance(connection, Connection) and connection.ends)
    goes_on = request.keep_alive and not ends
    made = message(request, answer, now_s, keep_alive=goes_on)
    if transport is None or transport.is_closing():
        return _CLOSED
    transport.write(made)
    if isinstance(connection, Connection):
        connection.answered(unread=unread)
    if connection.writing_paused:
        # whoever reads slowly gets no further answer made before it has read this one
        await _read(request, transport)
    return _GOES_ON if goes_on else _CLOSED


async def _read(request: web.BaseRequest, transport: asyncio.Transport) -> None:
    """Return once nearly all of it is read; the connection ends when none of it is for a while. Raises
    ConnectionError."""
    # not under a timeout of its own: the library's wait can be cancelled once only
    drained, left = asyncio.ensure_future(request.writer.drain()), -1
    try:
        while not (await asyncio.wait((drained,), timeout=_STILL_S))[0]:
            before, left = left, transport.get_write_buffer_size()
            if left == before:
                transport.abort()
        drained.result()
    finally:
        drained.cancel()


def message(request: Manner, answer: Answer, now_s: int, *, keep_alive: bool) -> bytes:
    """The whole answer. `keep_alive`: whether the connection goes on. Raises ValueError."""
    status, version, body = answer.status, request.version, answer.body
    reads_body = status not in _BODILESS and request.method != "HEAD"
    own = f"Server: {H.SERVER}\r\nDate: {_date(now_s)}\r\n"
    if body and reads_body and not _has_type(answer.headers):
        own += "Content-Type: application/octet-stream\r\n"
    if status not in _BODILESS and (body or reads_body):
        own += f"Content-Length: {len(body)}\r\n"
    if not keep_alive and version == HttpVersion11:
        own += "Connection: close\r\n"
    elif keep_alive and version == HttpVersion10:
        own += "Connection: keep-alive\r\n"
    head = (f"HTTP/{version.major}.{version.minor} {status} {_REASONS.get(status, '')}\r\n"
            f"{_lines(answer.headers)}{own}\r\n").encode()
    return head + body if reads_body else head


def _leaves_unread(request: web.BaseRequest, status: int) -> bool:
    """Whether the answer comes before the body, and the body is not worth waiting for: it may never come (RFC 9110,
    10.1.1), or it has been waited for. Who has begun to send it sends the rest, and may read nothing before."""
    body = request.content
    return not body.is_eof() and (status == BodyTooSlow.status or (
        "Expect" in request.headers and not body.total_bytes))


def _lines(headers: Mapping[str, str]) -> str:
    """The fields of the head; none of them holds the end of another one."""
    fields = [f"{name}: {value}" for name, value in headers.items()]
    if not fits("".join(fields)):
        raise ValueError("a header with a control character in it")
    fields.append("")
    return "\r\n".join(fields)


def _has_type(headers: Mapping[str, str]) -> bool:
    return "Content-Type" in headers or any(name.lower() == "content-type" for name in headers)


@lru_cache(maxsize=2)
def _date(now_s: int) -> str:
    return formatdate(now_s, usegmt=True)
