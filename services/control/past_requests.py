"""Past requests of the request topics, run through a draft.

In:    a draft, a time.
Out:   what would change.
Never: more records than the setting allows; the clock of a decision turned back: what one partition has is held back
until all others are as far; the loop held for long: control answers others meanwhile.
"""

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.control.by_time import ByTime
from shared.contracts.codec import header_map
from shared.contracts.request import RequestRecord
from shared.decision.book import GuardedProject, PolicyBook
from shared.decision.replay import Replay
from shared.errors import BadRecord, Unavailable
from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS
from shared.kafka.record import Record
from shared.kafka.unreadable import Careful
from shared.names import topics
from shared.settings.kafka import KafkaSettings

_TOPICS = (topics.REQUESTS_EDGE, topics.REQUESTS_INTERNAL)
# decisions between two looks at the loop
_AT_ONCE = 50


class PastRequests:
    """Replays, one after the other."""

    def __init__(self, kafka: KafkaSettings, book: PolicyBook, max_records: int) -> None:
        """`book`: what is in force."""
        self._kafka, self._book, self._max = kafka, book, max_records
        self._lock = asyncio.Lock()

    async def run(self, draft: GuardedProject, since_ms: int,
                  gone: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """Decide all requests to the draft's project since then. Raises Unavailable, also when `gone` says that nobody
        waits for it: it may take minutes, and whoever comes next waits for those."""
        replay = Replay(self._book, self._book.with_project(draft))
        async with self._lock:
            _check(gone)
            consumer = await connect.lone_consumer(self._kafka, *_TOPICS)
            try:
                read, unread = await self._read(consumer, replay, draft.name, since_ms, gone)
            except CLIENT_ERRORS as exc:
                raise Unavailable(f"the request topics cannot be read: {exc!r}") from exc
            finally:
                await consumer.stop()
        return {**replay.to_doc(), "records_read": read, "cut": unread, "since": since_ms}

    async def _read(self, consumer: AIOKafkaConsumer, replay: Replay, project: str, since_ms: int,
                    gone: Callable[[], bool]) -> tuple[int, bool]:
        places = list(consumer.assignment())
        ends = await consumer.end_offsets(places)
        starts = await consumer.offsets_for_times(dict.fromkeys(places, since_ms))
        left: dict[TopicPartition, int] = {}
        for place in places:
            start = starts.get(place)
            if start is not None and start.offset < ends[place]:
                consumer.seek(place, start.offset)
                left[place] = start.offset
            else:
                consumer.pause(place)
        order, read = ByTime(left, len(left) * self._kafka.max_poll_records), 0
        careful = Careful(consumer, self._kafka.max_poll_records, left)
        while order and read < self._max:
            _check(gone)
            await _read_on(consumer, careful, order, ends)
            ready = list(islice(order.ready(), self._max - read))
            read += len(ready)
            # behind one whose publisher's clock is ahead the broker finds older ones, too
            await self._decide(replay, project, [record for record in ready if record.timestamp >= since_ms])
        return read, bool(order)

    async def _decide(self, replay: Replay, project: str, records: list[Record]) -> None:
        for number, record in enumerate(records):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                request = RequestRecord.from_headers(header_map(record.headers), record.value,
                                                     edge=record.topic == topics.REQUESTS_EDGE)
                if request.project == project:
                    replay.take(request, record.topic, record.timestamp)
            except BadRecord:
                # policy has put it aside as well
                continue


def _check(gone: Callable[[], bool]) -> None:
    if gone():
        raise Unavailable("whoever asked for the replay has gone")


async def _read_on(consumer: AIOKafkaConsumer, careful: Careful, order: ByTime,
                   ends: Mapping[TopicPartition, int]) -> None:
    """One poll of those that the others wait for. What has come since the replay began is none of its business."""
    behind = order.slowest()
    polled = await careful.poll(*behind)
    for place, records in polled.items():
        order.add(place, [record for record in records if record.offset < ends[place]])
    for place in behind:
        if await consumer.position(place) >= ends[place]:
            # a fetch that waits for what comes there would hold up the others
            consumer.pause(place)
            order.end(place)
