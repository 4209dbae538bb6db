"""Read one partition of a reply topic and hand each reply to whoever waits for it.

In:    a partition that is ours.
Out:   resolved futures.
Never: a consumer group; a reply from before our start: the position is known before anybody may ask.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.client.pending import Pending
from shared.clock import SystemClock
from shared.contracts.codec import HeaderMap, header_map
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import correlation_of_reply
from shared.errors import BadRecord, Unavailable
from shared.kafka import connect
from shared.kafka.outbox import Outbox
from shared.kafka.watchdog import Watched, places_of
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
        self._settings, self._tasks, self._pending, self._outbox = settings, tasks, pending, outbox
        self._choose = choose
        self._consumer: AIOKafkaConsumer | None = None
        self._loop: asyncio.Task[None] | None = None
        self._clock, self._metrics = SystemClock(), pending.metrics
        self.topic = topic
        self.partition = 0

    async def start(self) -> None:
        """Return once the position at the end of our partition is known. Raises Unavailable."""
        self.partition = await self._choose(len(await self._outbox.partitions(self.topic)))
        self._consumer = consumer = await connect.lone_consumer(self._settings)
        ours = TopicPartition(self.topic, self.partition)
        consumer.assign([ours])
        await consumer.seek_to_end(ours)
        await consumer.position(ours)
        self._loop = self._tasks.spawn(self._run(consumer), f"read {self.topic}")

    async def stop(self) -> None:
        """Stop reading, disconnect."""
        await self._tasks.end(self._loop)
        if self._consumer is not None:
            await self._consumer.stop()

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return Watched(name=self.topic, places=lambda: places_of(self._consumer))

    async def _run(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
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
