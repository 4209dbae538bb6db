"""Pack usage events into envelopes.

In:    events, one at a time.
Out:   envelopes on `weir.usage`; a future per envelope, done when the broker has it.
Never: an event dropped: whoever finishes a request waits for this future before its record is committed.

An envelope goes out after `max_wait_ms`, or with 200 events, whichever is first.
"""

import asyncio
import os

from shared.contracts.usage import Envelope, UsageEvent
from shared.kafka.faults import SendFailed
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.telemetry.metrics import Metrics

MAX_EVENTS = 200
MAX_WAIT_MS = 60


class UsageEnvelopes:
    """The usage stream of one process; its producer nonce is new with each start."""

    def __init__(self, outbox: Outbox, metrics: Metrics) -> None:
        """No events yet."""
        self._outbox, self._metrics = outbox, metrics
        self._producer = os.urandom(8).hex()
        self._sequence = 0
        self._events: list[UsageEvent] = []
        self._sent: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def add(self, event: UsageEvent) -> asyncio.Future[None]:
        """Take an event; the future is done when its envelope is acknowledged, or fails with SendFailed."""
        loop = asyncio.get_running_loop()
        if self._sent is None:
            self._sent = loop.create_future()
            self._timer = loop.call_later(MAX_WAIT_MS / 1000, self.flush)
        sent = self._sent
        self._events.append(event)
        self._metrics.usage_events.inc(event.kind)
        if len(self._events) >= MAX_EVENTS:
            self.flush()
        return sent

    def flush(self) -> None:
        """Send what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
        events, sent = self._events, self._sent
        self._events, self._sent, self._timer = [], None, None
        if not events or sent is None:
            return
        value, headers = Envelope(producer=self._producer, sequence=self._sequence, events=events).to_record()
        self._sequence += 1
        try:
            acknowledged = self._outbox.send(topics.USAGE, value, headers)
        except SendFailed as exc:
            sent.set_exception(exc)
            sent.exception()
            return
        acknowledged.add_done_callback(lambda done: _pass_on(done, sent))

    async def start(self) -> None:
        """Nothing to connect: the outbox is."""

    async def stop(self) -> None:
        """Send what has gathered; the outbox delivers it when it stops."""
        self.flush()


def _pass_on(source: asyncio.Future[None], target: asyncio.Future[None]) -> None:
    error = source.exception()
    if error is None:
        target.set_result(None)
    else:
        target.set_exception(error)
        target.exception()
