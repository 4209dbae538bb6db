"""Publish a request and wait for its answer.

In:    a topic, a request's value, a function that writes its headers for a reply address.
Out:   the reply record; Overloaded, Unavailable, BodyTooLarge or TimedOut.
Never: a published request past the bound; a wait past the deadline.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

from shared.client.pending import Parts, Pending
from shared.client.replies import ReplyReader
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import ReplyAddress
from shared.errors import BodyTooLarge, TimedOut, Unavailable
from shared.kafka.faults import RecordTooLarge, SendFailed
from shared.kafka.outbox import Outbox

WriteHeaders = Callable[[ReplyAddress], list[tuple[str, bytes]]]


class Watch(Protocol):
    """Who wants to know more about a request than its answer."""

    def published(self, acknowledged: asyncio.Future[None]) -> None:
        """It is on its way to the broker."""

    def came_late(self, reply: ReplyRecord) -> None:
        """The answer came when nobody waited any more."""


class NotAcknowledged(Unavailable):
    """The broker did not acknowledge in time: the request may or may not run."""


class Caller:
    """The meeting point of an outbox and a reply reader."""

    def __init__(self, outbox: Outbox, pending: Pending, replies: ReplyReader) -> None:
        """The parts are started and stopped by whoever built them."""
        self._outbox, self._pending, self._replies = outbox, pending, replies
        # the batch that was added to last, and whose requests it has: all hear of it together
        self._batch: asyncio.Future[None] | None = None
        self._aboard: list[bytes] = []

    async def ask(self, topic: str, value: bytes, write_headers: WriteHeaders, timeout_ms: int,
                  watch: Watch | None = None) -> ReplyRecord:
        """One request, one answer. Raises Overloaded, Unavailable, BodyTooLarge, TimedOut."""
        self.check()
        correlation_id, answer = self._pending.add(timeout_ms)
        try:
            sent = self._send(topic, value, write_headers, correlation_id)
            if watch is not None:
                watch.published(sent)
            return await answer
        except TimedOut:
            if watch is not None:
                self._pending.tell(correlation_id, watch.came_late)
            raise
        finally:
            self._pending.drop(correlation_id)

    @asynccontextmanager
    async def listen(self, topic: str, value: bytes, write_headers: WriteHeaders,
                     watch: Watch | None = None) -> AsyncIterator[Parts]:
        """One request, an answer in parts, for as long as the block lasts. Raises Overloaded, Unavailable, ..."""
        self.check()
        correlation_id, parts = self._pending.add_parts()
        try:
            sent = self._send(topic, value, write_headers, correlation_id)
            if watch is not None:
                watch.published(sent)
            yield parts
        finally:
            self._pending.drop(correlation_id)
            parts.leave()

    def check(self) -> None:
        """Whether one more request may be published now. Raises Unavailable, Overloaded."""
        self._pending.check()
        if self._outbox.stalled:
            raise Unavailable("the broker does not acknowledge; nothing was published, try again shortly",
                              headers={"Retry-After": "2"})

    def _send(self, topic: str, value: bytes, write_headers: WriteHeaders,
              correlation_id: bytes) -> asyncio.Future[None]:
        address = ReplyAddress(correlation_id=correlation_id, topic=self._replies.topic,
                               partition=self._replies.partition)
        try:
            sent = self._outbox.send(topic, value, write_headers(address))
        except RecordTooLarge as exc:
            raise BodyTooLarge(f"body and headers together are too large: {exc}") from exc
        except SendFailed as exc:
            # whoever calls from outside is not told of topics and brokers; the log has it, and who asks for the cause
            raise Unavailable("the request could not be handed on; nothing was published, try again shortly",
                              headers={"Retry-After": "2"}) from exc
        if sent is not self._batch:
            self._batch, self._aboard = sent, []
            sent.add_done_callback(partial(self._settled, self._aboard))
        self._aboard.append(correlation_id)
        return sent

    def _settled(self, aboard: list[bytes], done: asyncio.Future[None]) -> None:
        if done is self._batch:
            self._batch = None
        error = None if done.cancelled() else done.exception()
        if error is not None:
            for correlation_id in aboard:
                untold = NotAcknowledged("the broker did not acknowledge the request, which may run all the same; try "
                                         "again shortly", headers={"Retry-After": "2"})
                untold.__cause__ = error
                self._pending.fail(correlation_id, untold)
