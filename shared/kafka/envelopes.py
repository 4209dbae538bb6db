"""Pack usage events into envelopes.

In:    events, one at a time.
Out:   envelopes on `weir.usage`; a future per envelope, done when the broker has it.
Never: an event dropped: whoever finishes a request waits for this future before its record is committed.

An envelope goes out after 100 ms, with 400 events, or before it would have more than 128 KB, whichever is first.
"""

import asyncio
import os

from shared.contracts.usage import UsageEvent, encoded, packed
from shared.kafka.faults import SendFailed
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.runtime.tasks import heard, pass_on
from shared.telemetry.metrics import Metrics

MAX_EVENTS, MAX_BYTES = 400, 128_000
MAX_WAIT_MS = 100


class UsageEnvelopes:
    """The usage stream of one process; its producer nonce is new with each start."""

    def __init__(self, outbox: Outbox, metrics: Metrics) -> None:
        """No events yet."""
        self._outbox, self._metrics = outbox, metrics
        self._producer = os.urandom(8).hex()
        self._sequence = 0
        self._events: list[bytes] = []
        self._bytes = 0
        self._sent: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def add(self, event: UsageEvent) -> asyncio.Future[None]:
        """Take an event; the future is done when its envelope is acknowledged, or fails with SendFailed."""
        loop = asyncio.get_running_loop()
        part = encoded(event)
        if self._events and self._bytes + len(part) > MAX_BYTES:
            self.flush()
        if self._sent is None:
            self._sent = loop.create_future()
            self._timer = loop.call_later(MAX_WAIT_MS / 1000, self.flush)
        sent = self._sent
        self._events.append(part)
        self._bytes += len(part) + 1
        self._metrics.usage_events.inc(event.kind)
        if len(self._events) >= MAX_EVENTS:
            self.flush()
        return sent

    def flush(self) -> None:
        """Send what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
        events, sent = self._events, self._sent
        self._events, self._bytes, self._sent, self._timer = [], 0, None, None
        if not events or sent is None:
            return
        value, headers = packed(self._producer, self._sequence, events)
        self._sequence += 1
        try:
            acknowledged = self._outbox.send(topics.USAGE, value, headers)
        except SendFailed as exc:
            sent.set_exception(exc)
            heard(sent)
            return
        acknowledged.add_done_callback(lambda done: pass_on(done, sent))

    async def start(self) -> None:
        """Nothing to connect: the outbox is."""

    async def stop(self) -> None:
        """Send what has gathered; the outbox delivers it when it stops."""
        self.flush()
