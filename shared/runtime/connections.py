"""Connections of aiohttp's server that say of HTTP that nobody can read what is said of any other refusal.

In:    what the library has found: a message that it cannot read, an error that nobody has met.
Out:   a problem; a line of the log.
Never: a byte of a message that could not be read, neither told nor logged: its head has secrets in it, and where they
       stand is what nobody knows.
"""

import logging
from typing import Any

import orjson
from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError, LineTooLong

from shared.clock import SystemClock
from shared.contracts import ids
from shared.errors import MediaTypeUnsupported, MessageUnreadable, Refused, WeirError, problem
from shared.names import actions
from shared.names.headers import HTTP_REQUEST_ID, PROBLEM_JSON, SERVER

log = logging.getLogger(__name__)
UNREADABLE = (HttpProcessingError, web.RequestPayloadError)
# what the library reads of a line
_LONGEST_LINE = 8_190
_TOO_LONG = f"the request line or a header is longer than {_LONGEST_LINE} bytes: send less in it, or in the body"
_NO_HTTP = ("this is no HTTP/1.1 message that can be read: look at the request line; at the headers, 128 at most, each "
            "`Name: value` on a line, without a blank before the colon and without control characters, and no second "
            "Host, Content-Type, Content-Length or User-Agent; and at the body, which has to have the length, the "
            "chunks and the coding that the headers tell")
# what the library takes off a body
DECODED = "gzip, deflate"
# how a body in chunks ends that has no trailers (RFC 9112, 7.1)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Connection(web.RequestHandler):
    """One caller's connection.

    The library gives the last trailer of a body in chunks to the next request, as its first header: behind a proxy that
    may be somebody else's. So the connection ends with the answer to such a body, unless all that came ends as one
    without trailers does.
    """

    __slots__ = ("_chunks", "_tail")

    def __init__(self, manager: web.Server, **aiohttps: Any) -> None:
        """Nobody is connected."""
        super().__init__(manager, **aiohttps)
        # the newest body, while it is one in chunks and has not ended, and the last bytes that came
        self._chunks: StreamReader | None = None
        self._tail = b""

    @property
    def ends(self) -> bool:
        """Whether it ends with the answer that is under way. Of a body in chunks that has not ended nobody knows yet
        what follows it, and once it has the answer could not say so any more."""
        return self._close or self._force_close or self._chunks is not None

    def data_received(self, data: bytes) -> None:
        """Let the library read, and nothing behind what it may mistake."""
        known = self._request_count
        super().data_received(data)
        if self._request_count != known or self._chunks is not None:
            self._watch_chunks(data, self._request_count - known)
        if self._upgraded:
            # nobody here takes another protocol up, and what follows is read where nobody watches
            self._close = True

    def _watch_chunks(self, data: bytes, come: int) -> None:
        for message, payload in [*self._messages][len(self._messages) - come:]:
            if self._chunks is not None:
                self._close = True
                if not isinstance(message, RawRequestMessage) and not self._chunks.is_eof():
                    # the library does not tell whoever waits for the rest of the body
                    self._chunks.set_exception(message.exc)
            self._chunks = payload if isinstance(message, RawRequestMessage) and message.chunked else None
        if self._chunks is not None:
            self._tail = (self._tail + data)[-len(_LAST_CHUNK):]
            if self._chunks.is_eof():
                # what is held back until there is room has not been looked at
                self._close = self._close or self._tail != _LAST_CHUNK or self._buffer_paused
                self._chunks = None

    async def finish_response(self, request: web.BaseRequest, resp: web.StreamResponse,
                              start_time: float | None) -> tuple[web.StreamResponse, bool]:
        """The library's own answers say so where the connection ends with them."""
        if self.ends and isinstance(resp, web.StreamResponse) and not resp.prepared:
            resp.force_close()
        return await super().finish_response(request, resp, start_time)

    def refused(self, error: Refused) -> None:
        """What came could not be read; for whoever counts."""

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
                     message: str | None = None) -> web.StreamResponse:
        """The answer to what no handler has answered; the connection ends with it. `message` and the text of `exc` are
        the caller's words. Raises ConnectionError when an answer has begun."""
        request_id = ids.request_id(SystemClock().now_ms())
        error: WeirError
        if isinstance(exc, UNREADABLE):
            self._tell(exc, request_id)
            error = unreadable(exc)
            self.refused(error)
        else:
            log.error("request %s failed", request_id, exc_info=exc or True,
                      extra={"action": actions.REQUEST_FAILED, "request_id": request_id})
            error = WeirError("an error inside the service; the log has the request id")
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun, and another one cannot follow in it")
        answer = web.Response(status=error.status, body=orjson.dumps(problem(error, request_id)),
                              headers={**error.headers, HTTP_REQUEST_ID: request_id, "Server": SERVER},
                              content_type=PROBLEM_JSON)
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What the library tells of an error; of a message that it cannot read, only that."""
        exc = kw.get("exc_info")
        if isinstance(exc, UNREADABLE):
            self._tell(exc, "")
        else:
            super().log_exception(*args, **kw)

    def _tell(self, exc: BaseException, request_id: str) -> None:
        # as the library's own word: strangers send as many of these as they like, and one in a while is told
        self.logger.info("an HTTP message could not be read: %s", type(exc).__name__,
                         extra={"action": actions.MESSAGE_UNREADABLE, "request_id": request_id})


class Server(web.Server):
    """aiohttp's low-level server, with these connections."""

    def __call__(self) -> Connection:
        """A connection for a new caller."""
        return Connection(self, loop=self._loop, **self._kwargs)


class AppRunner(web.AppRunner):
    """Serves an application over these connections."""

    async def _make_server(self) -> Server:
        made = await super()._make_server()
        return Server(made.request_handler, request_factory=made.request_factory, **made._kwargs)


def unreadable(exc: BaseException) -> Refused:
    """What a caller is told of it."""
    if isinstance(exc, ContentEncodingError):
        # of a coding that is missing here the library says so before it gives the request on; of others it does not
        return MediaTypeUnsupported(f"the body has a coding that is not known here; send it as it is, or one of "
                                    f"{DECODED}",
                                    headers={"Accept-Encoding": DECODED})
    return MessageUnreadable(_TOO_LONG if isinstance(exc, LineTooLong) else _NO_HTTP)
