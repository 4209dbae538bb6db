"""The events of one execution, on their way to its caller.

In:    events, in the order in which steps emit them; in the end the answer.
Out:   parts of one answer, all on one partition.
Never: more than a few that the broker has not acknowledged; an event once the answer is there.
"""

import asyncio
from collections import deque
from typing import Any

from shared.contracts.execution import ExecutionRecord
from shared.contracts.reply import ReplyRecord, error_reply
from shared.contracts.server_sent import END, ERROR, event_of
from shared.errors import StreamNotResumable, WorkflowFailed
from shared.kafka.answers import Answers
from shared.kafka.record import Record
from shared.names.headers import EVENT_STREAM, JSON, TEXT
from shared.project.written import to_json

_MAX_OPEN = 64


class Stream:
    """`kept`: the events as their caller reads them, for the next call with the same idempotency key."""

    def __init__(self, answers: Answers, record: Record, execution: ExecutionRecord, max_bytes: int) -> None:
        """`max_bytes`: of one event, and of all that are kept."""
        self._answers, self._record, self._execution, self._max_bytes = answers, record, execution, max_bytes
        self._open: deque[asyncio.Future[None]] = deque()
        self._kept: bytearray | None = bytearray() if execution.claim else None
        self._address, self._sequence = execution.reply_to, 0
        self._closed = False
        self.bytes_out = 0

    @property
    def began(self) -> bool:
        """Whether an event was sent."""
        return self._sequence > 0

    async def emit(self, event: str, data: Any) -> None:
        """Send an event. Raises WorkflowFailed: event-too-large, stream-ended."""
        body = data.encode() if isinstance(data, str) else to_json(data)
        if len(body) > self._max_bytes:
            raise WorkflowFailed(f"the event has {len(body)} bytes, the limit is {self._max_bytes} "
                                 "(WEIR_EXECUTOR_MAX_REPLY_BYTES)", kind="event-too-large")
        if self._address is not None and not self.began:
            self._address = await self._answers.placed(self._address)
        if self._closed:
            raise WorkflowFailed("the caller has its answer, and hears no event after it; a `call` that is waited for "
                                 "emits before that", kind="stream-ended")
        headers = self._execution.answer_headers if not self.began else {}
        self._send(ReplyRecord(request_id=self._execution.request_id, status=200, body=body, event=event,
                               content_type=TEXT if isinstance(data, str) else JSON, headers=headers,
                               sequence=self._sequence))
        while len(self._open) > _MAX_OPEN:
            # all of a batch share it: one that is ended ends no other
            await asyncio.shield(self._open.popleft())

    def close(self) -> None:
        """The answer is there: what still runs beside it sends no event any more."""
        self._closed = True

    def end(self, answer: ReplyRecord) -> list[asyncio.Future[None]]:
        """Send the answer as the last part; what has to be acknowledged."""
        self._send(self._last(answer))
        return list(self._open)

    def whole(self, answer: ReplyRecord) -> ReplyRecord:
        """All events as one answer; the answer itself when there was none. An error when they are too many to keep: the
        call has run all the same, and under its key it does not run again."""
        if not self.began:
            return answer
        last = event_of(self._last(answer), answer.request_id)
        if self._kept is None or len(self._kept) + len(last) > self._max_bytes:
            return error_reply(StreamNotResumable(
                "the first call with this idempotency key has run to its end; its events are more than "
                f"{self._max_bytes} bytes (WEIR_EXECUTOR_MAX_REPLY_BYTES), and were not kept"), answer.request_id)
        return ReplyRecord(request_id=answer.request_id, status=200, body=bytes(self._kept) + last,
                           content_type=EVENT_STREAM)

    def _last(self, answer: ReplyRecord) -> ReplyRecord:
        return ReplyRecord(
            request_id=answer.request_id, status=answer.status, body=answer.body or b"{}", sequence=self._sequence,
            content_type=answer.content_type or JSON, event=ERROR if answer.status >= 400 else END, last=True,
            timing=answer.timing, traceparent=answer.traceparent)

    def _send(self, part: ReplyRecord) -> None:
        self._sequence += 1
        self.bytes_out += len(part.body)
        if self._kept is not None:
            self._kept += event_of(part, self._execution.request_id)
            if len(self._kept) > self._max_bytes:
                self._kept = None
        if self._address is not None:
            self._open.extend(self._answers.send(self._address, part, self._record))
