"""Past requests of the request topics, run through a draft.

In:    a draft, a time.
Out:   what would change.
Never: more records than the setting allows; the loop held for long: control answers others meanwhile.
"""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer

from shared.contracts.codec import header_map
from shared.contracts.request import RequestRecord
from shared.decision.book import GuardedProject, PolicyBook
from shared.decision.replay import Replay
from shared.errors import BadRecord, Unavailable
from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS
from shared.kafka.record import Record
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

    async def run(self, draft: GuardedProject, since_ms: int) -> dict[str, Any]:
        """Decide all requests to the draft's project since then. Raises Unavailable."""
        replay = Replay(self._book, self._book.with_project(draft))
        async with self._lock:
            consumer = await connect.lone_consumer(self._kafka, *_TOPICS)
            try:
                read, unread = await self._read(consumer, replay, draft.name, since_ms)
            except CLIENT_ERRORS as exc:
                raise Unavailable(f"the request topics cannot be read: {exc!r}") from exc
            finally:
                await consumer.stop()
        return {**replay.to_doc(), "records_read": read, "cut": unread, "since": since_ms}

    async def _read(self, consumer: AIOKafkaConsumer, replay: Replay, project: str, since_ms: int) -> tuple[int, bool]:
        places = list(consumer.assignment())
        ends = await consumer.end_offsets(places)
        starts = await consumer.offsets_for_times(dict.fromkeys(places, since_ms))
        left = set()
        for place in places:
            start = starts.get(place)
            if start is not None and start.offset < ends[place]:
                consumer.seek(place, start.offset)
                left.add(place)
            else:
                consumer.pause(place)
        read = 0
        while left and read < self._max:
            polled = await consumer.getmany(*left, timeout_ms=1000)
            found = sorted((record for records in polled.values() for record in records),
                           key=lambda record: record.timestamp)
            read += len(found)
            await self._decide(replay, project, found)
            left = {place for place in left if await consumer.position(place) < ends[place]}
        return read, bool(left)

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
