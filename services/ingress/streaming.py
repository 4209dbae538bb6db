"""Hand an answer in parts to an HTTP caller, as server-sent events.

In:    parts as they come, the connection.
Out:   events; a comment when there is none for a while.
Never: a wait for a caller that has gone: the execution is told to end.
"""

import asyncio
import time
from dataclasses import dataclass

import orjson
from aiohttp import ClientConnectionResetError, HttpVersion11, web

from services.ingress.answer import Answer, of_reply, shaped
from services.ingress.doorstep import is_half
from services.ingress.routes import Target
from shared.client.pending import Parts
from shared.contracts.reply import ReplyRecord
from shared.contracts.server_sent import END, ERROR, HEARTBEAT, event_of
from shared.errors import ClientGone, TimedOut, WeirError, problem
from shared.names import headers as H

# how often a silent connection is looked at
_LOOK_S = 1.0
OWN_HEADERS = {"Content-Type": H.EVENT_STREAM, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def is_whole(first: ReplyRecord) -> bool:
    """Whether what came first is an answer of its own, and no event: one that is refused or failed and keeps its
    status, or all events of a call that has run before. A workflow that has done well without any has its `end`."""
    return first.sequence is None and (
        not 200 <= first.status < 300 or first.content_type == H.EVENT_STREAM)


@dataclass(slots=True)
class EventStream:
    """One stream to one caller. `error`: why it ended early; it reaches the caller as its last event. `ended`:
    its last part, as it came. `was_half`: whether its caller had said before that it sends no more."""

    request: web.BaseRequest
    parts: Parts
    request_id: str
    end_s: float
    heartbeat_s: float
    sequence: int = 0
    status: int = 200
    bytes_out: int = 0
    error: WeirError | None = None
    ended: ReplyRecord | None = None
    was_half: bool = False

    async def first(self) -> ReplyRecord | None:
        """The first part; None when it takes longer than a heart-beat: then the stream begins without it."""
        try:
            return await self._next(self.heartbeat_s)
        except TimeoutError:
            return None

    async def run(self, first: ReplyRecord | None, target: Target | None,
                  headers: dict[str, str]) -> web.StreamResponse:
        """All events, to the last one. Raises ClientGone."""
        begun = {} if first is None else of_reply(first, self.request_id).headers
        made = shaped(Answer(200, {**begun, **headers, **OWN_HEADERS}, b""), target, self.request.headers)
        response = web.StreamResponse(headers=made.headers)
        if self.request.version < HttpVersion11:
            # the end of the connection alone tells that there is no more, also to those who would keep it
            response.force_close()
        try:
            await response.prepare(self.request)
            part: ReplyRecord | None = first
            while part is None or not (part.last or part.sequence is None):
                await self._write(response, HEARTBEAT if part is None else self._event(part))
                try:
                    part = await self._next(self.heartbeat_s)
                except TimeoutError:
                    part = None
                except ClientGone:
                    raise
                except WeirError as error:
                    part, self.error = self._failure(error), error
            if self.error is None:
                self.ended = part
            await self._write(response, self._event(part))
            await response.write_eof()
        except (ClientConnectionResetError, ConnectionError, TimeoutError) as exc:
            raise ClientGone("the caller has closed the connection, or reads nothing from it") from exc
        return response

    async def _next(self, within_s: float) -> ReplyRecord:
        """Raises TimeoutError when nothing comes, TimedOut at the end of the stream's time, ClientGone."""
        until_s = min(time.monotonic() + within_s, self.end_s)
        while (left_s := until_s - time.monotonic()) > 0:
            if (self.request.transport is None or self.request.transport.is_closing()
                    or is_half(self.request) is not self.was_half):
                raise ClientGone("the caller has closed the connection")
            try:
                return await self.parts.next(min(left_s, _LOOK_S))
            except TimeoutError:
                continue
        if until_s >= self.end_s:
            raise TimedOut("the stream of events did not end in time")
        raise TimeoutError

    def _event(self, part: ReplyRecord) -> bytes:
        if part.sequence is None:
            # the whole answer came after the stream had begun, or is its only event: its status is not told any more
            part = ReplyRecord(request_id=self.request_id, status=part.status, body=part.body or b"{}",
                               sequence=self.sequence,
                               event=ERROR if part.status >= 400 else END, last=True)
        self.status, self.sequence = part.status, (part.sequence or 0) + 1
        return event_of(part, self.request_id)

    def _failure(self, error: WeirError) -> ReplyRecord:
        return ReplyRecord(request_id=self.request_id, status=error.status, sequence=self.sequence, event=ERROR,
                           body=orjson.dumps(problem(error, self.request_id)), last=True)

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        self.bytes_out += len(data)
        async with asyncio.timeout(max(0.0, self.end_s - time.monotonic()) + _LOOK_S):
            await response.write(data)
