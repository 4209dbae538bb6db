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
from shared.contracts.request import RequestRecord, secret_headers_in
from shared.decision.book import GuardedProject, PolicyBook
from shared.decision.replay import Replay
from shared.decision.unfit import unfit
from shared.errors import BadRecord, Unavailable
from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS
from shared.kafka.record import Record
from shared.kafka.unreadable import Careful
from shared.names import topics
from shared.settings.kafka import KafkaSettings
from shared.settings.requests import RequestSettings

_TOPICS = (topics.REQUESTS_EDGE, topics.REQUESTS_INTERNAL)
# decisions between two looks at the loop
_AT_ONCE = 50


class PastRequests:
    """Replays, one after the other."""

    def __init__(self, kafka: KafkaSettings, book: PolicyBook, max_records: int,
                 asked: RequestSettings | None = None) -> None:
        """`book`: what is in force; `asked`: which records policy decides."""
        self._kafka, self._book, self._max, self._asked = kafka, book, max_records, asked or RequestSettings()
        self._lock = asyncio.Lock()

    async def run(self, draft: GuardedProject, since_ms: int,
                  gone: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """Decide all requests to the draft's project since then. Raises Unavailable, also when `gone` says that nobody
        waits for it: it may take minutes, and whoever comes next waits for those."""
        async with self._lock:
            _check(gone)
            # whatever is put in force while it runs, each call is decided by the same
            live = self._book.as_it_is()
            replay = Replay(live, live.with_project(draft))
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
                request = self._request(record)
            except BadRecord:
                # policy has put it aside as well
                continue
            if request is not None and request.project == project:
                replay.take(request, record.topic, record.timestamp)

    def _request(self, record: Record) -> RequestRecord | None:
        """None for what policy puts aside or refuses whatever the version: it is no call of the project, and spends
        nothing. Raises BadRecord."""
        headers = header_map(record.headers)
        request = RequestRecord.from_headers(headers, record.value, edge=record.topic == topics.REQUESTS_EDGE)
        told = request.reply_to
        aside = told is not None and not told.allowed_by(self._asked.reply_prefixes)
        return None if aside or unfit(request, secret_headers_in(headers), self._asked.max_body_bytes) else request


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
