"""The client for internal services: calls an operation over `weir.requests.internal`, no HTTP involved.

In:    Kafka settings, a reply topic of the service's own, a token digest (`weir token create` prints it).
Out:   `WeirClient.call` -> `ReplyRecord`.
Never: a raw token on a topic.

    async with WeirClient(KafkaSettings(), reply_topic="replies.billing", token_digest="...") as weir:
        reply = await weir.call("employee-directory", "get-employee", params={"id": "e-100"})
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import orjson

from shared.client.caller import Caller
from shared.client.pending import Pending
from shared.client.replies import ReplyReader
from shared.clock import SystemClock
from shared.contracts import ids
from shared.contracts.reply import ReplyRecord
from shared.contracts.request import RequestRecord
from shared.errors import TimedOut, Unavailable
from shared.kafka.outbox import Outbox
from shared.names import headers as H
from shared.names import topics
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics

DEFAULT_TIMEOUT_MS = 30_000


class WeirClient:
    """Many calls at once over one connection. The reply topic must exist and match an allowed prefix (`replies.`)."""

    def __init__(self, settings: KafkaSettings, *, reply_topic: str, token_digest: str | None = None,
                 reply_partition: int = 0, max_in_flight: int = 4096) -> None:
        """`reply_partition` must be read by this instance alone."""
        self._settings, self._reply_topic, self._digest = settings, reply_topic, token_digest
        self._reply_partition, self._limit = reply_partition, max_in_flight
        self._clock = SystemClock()
        self._caller: Caller | None = None

    async def __aenter__(self) -> Self:
        """Connect; answers can be received once this returns. Raises KafkaUnavailable, SendFailed or Unavailable where
        there is no broker, no such topic, no such partition."""
        metrics, self._tasks = Metrics(), Tasks()
        self._pending = Pending(self._limit, metrics)
        self._outbox = Outbox(self._settings)
        self._replies = ReplyReader(self._settings, self._tasks, self._pending, topic=self._reply_topic,
                                    outbox=self._outbox, choose=self._own_partition)
        try:
            await self._outbox.start()
            await self._replies.start()
        except BaseException:
            await self.__aexit__()
            raise
        self._tasks.failed.add_done_callback(self._reads_no_more)
        self._caller = Caller(self._outbox, self._pending, self._replies)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect. What was asked is still published; whoever waits for its answer is told that none comes here."""
        self._caller = None
        await self._outbox.stop()
        await self._tasks.stop()
        await self._replies.stop()
        self._pending.give_up()

    async def call(self, project: str, operation: str, *, params: dict[str, Any] | None = None, body: Any = None,
                   timeout_ms: int = DEFAULT_TIMEOUT_MS, traceparent: str | None = None) -> ReplyRecord:
        """Call an operation by its name; `body` is sent as JSON. Raises Overloaded, Unavailable, TimedOut.

        A refusal is an answer like any other: look at `status`.
        """
        caller = self._open()
        request = self._request(project, operation, params, body, self._clock.now_ms() + timeout_ms, traceparent)
        return await caller.ask(topics.REQUESTS_INTERNAL, request.body, request.addressed, timeout_ms)

    async def events(self, project: str, operation: str, *, params: dict[str, Any] | None = None, body: Any = None,
                     timeout_ms: int = DEFAULT_TIMEOUT_MS) -> AsyncIterator[ReplyRecord]:
        """Call an operation with events; the parts of its answer as they come, the last one included.

        Raises Overloaded, Unavailable, TimedOut, StreamBroken. A refusal is the only part, and has no `sequence`.
        """
        caller, end_us = self._open(), self._clock.elapsed_us() + timeout_ms * 1_000
        request = self._request(project, operation, params, body, self._clock.now_ms() + timeout_ms, None)
        async with caller.listen(topics.REQUESTS_INTERNAL, request.body, request.addressed) as parts:
            over = False
            while not over:
                try:
                    part = await parts.next((end_us - self._clock.elapsed_us()) / 1_000_000)
                except TimeoutError:
                    raise TimedOut(f"the answer did not end within {timeout_ms} ms") from None
                over = part.sequence is None or part.last
                yield part

    def _request(self, project: str, operation: str, params: dict[str, Any] | None, body: Any, deadline_ms: int,
                 traceparent: str | None) -> RequestRecord:
        payload = b"" if body is None else orjson.dumps(body)
        return RequestRecord(
            request_id=ids.request_id(self._clock.now_ms()), project=project, operation=operation, params=params or {},
            deadline_ms=deadline_ms, token_digest=self._digest, body=payload,
            content_type=H.JSON if payload else None, traceparent=traceparent)

    def _open(self) -> Caller:
        if self._caller is None:
            raise RuntimeError("this WeirClient is not open: call inside of `async with WeirClient(...) as weir:`")
        if self._tasks.failed.done():
            raise Unavailable(f"answers are not read any more: {self._tasks.failed.result()!r}; open another client")
        return self._caller

    def _reads_no_more(self, _failed: asyncio.Future[BaseException]) -> None:
        """Nobody waits until the end of its time for an answer that nobody will read."""
        self._pending.give_up()

    async def _own_partition(self, partitions: int) -> int:
        if not 0 <= self._reply_partition < partitions:
            raise Unavailable(f"{self._reply_topic} has no partition {self._reply_partition}: it has {partitions}, "
                              "counted from 0")
        return self._reply_partition
