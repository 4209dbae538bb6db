"""Connections of aiohttp's server that say of HTTP that nobody can read what is said of any other refusal.

In:    what the library has found: a message that it cannot read, an error that nobody has met.
Out:   a problem; a line of the log.
Never: a byte of a message that could not be read, neither told nor logged: its head has secrets in it, and where they
       stand is what nobody knows.
"""

import logging
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from shared.clock import SystemClock
from shared.contracts import ids
from shared.errors import MessageUnreadable, WeirError, problem
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


class Connection(web.RequestHandler):
    """One caller's connection."""

    __slots__ = ()

    def refused(self, error: MessageUnreadable) -> None:
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
                              headers={HTTP_REQUEST_ID: request_id, "Server": SERVER}, content_type=PROBLEM_JSON)
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


def unreadable(exc: BaseException) -> MessageUnreadable:
    """What a caller is told of it."""
    return MessageUnreadable(_TOO_LONG if isinstance(exc, LineTooLong) else _NO_HTTP)
