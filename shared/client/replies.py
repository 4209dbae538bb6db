"""Read one partition of a reply topic and hand each reply to whoever waits for it.

In:    a partition that is ours.
Out:   resolved futures.
Never: a consumer group; a reply from before our start: the position is known before anybody may ask.
"""

import logging
from collections.abc import Awaitable, Callable

from shared.client.pending import Pending
from shared.clock import SystemClock
from shared.contracts.codec import HeaderMap, header_map
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import correlation_of_reply
from shared.errors import BadRecord, Unavailable
from shared.kafka.outbox import Outbox
from shared.kafka.tail import Tail
from shared.kafka.watchdog import Watched
from shared.names import actions
from shared.names.metrics import QUEUE
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings

log = logging.getLogger(__name__)
HOP = "replies"


class ReplyReader:
    """`choose` gets the number of partitions and returns ours."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, pending: Pending, *, topic: str, outbox: Outbox,
                 choose: Callable[[int], Awaitable[int]]) -> None:
        """Reads once started; the outbox, started before, knows how many partitions the topic has."""
        self._tail = Tail(settings, tasks, topic)
        self._pending, self._outbox, self._choose = pending, outbox, choose
        self._clock, self._metrics = SystemClock(), pending.metrics
        self.topic = topic
        self.partition = 0

    async def start(self) -> None:
        """Return once the position at the end of our partition is known. Raises Unavailable."""
        self.partition = await self._choose(len(await self._outbox.partitions(self.topic)))
        await self._tail.open(self.partition, at_end=True)
        self._tail.follow(self._run())

    async def stop(self) -> None:
        """Stop reading, disconnect."""
        await self._tail.stop()

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return self._tail.watched

    async def _run(self) -> None:
        while True:
            records = await self._tail.poll()
            now_ms = self._clock.now_ms()
            for record in records:
                self._metrics.hop_us.add(max(0, now_ms - record.timestamp) * 1000, HOP, QUEUE)
                self._take(header_map(record.headers), record.value, record.timestamp)

    def _take(self, headers: HeaderMap, value: bytes | None, placed_ms: int) -> None:
        correlation_id = correlation_of_reply(headers)
        if correlation_id is None:
            return
        try:
            self._pending.resolve(correlation_id, ReplyRecord.from_headers(headers, value, placed_ms))
        except BadRecord as exc:
            log.warning("unreadable reply: %s", exc, extra={"action": actions.REPLY_LOST})
            self._pending.fail(correlation_id, Unavailable(f"the answer could not be read: {exc}"))
