"""Publish and wait: what becomes of the requests of a batch."""

import asyncio
from typing import Any, cast

import pytest

from shared.client.caller import Caller, NotAcknowledged
from shared.client.pending import Pending
from shared.client.replies import ReplyReader
from shared.contracts.reply import ReplyRecord
from shared.errors import TimedOut
from shared.kafka.faults import SendFailed
from shared.kafka.outbox import Outbox
from shared.telemetry.metrics import Metrics


class Batches:
    """An outbox whose batches go out when the test says so; a reply topic's name and partition."""

    stalled, topic, partition = False, "replies.t", 0

    def __init__(self) -> None:
        self.batch: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ids: list[bytes] = []

    def send(self, *_: Any) -> asyncio.Future[None]:
        return self.batch

    def next(self) -> asyncio.Future[None]:
        last, self.batch = self.batch, asyncio.get_running_loop().create_future()
        return last


class Watching:
    def __init__(self) -> None:
        self.late: list[ReplyRecord] = []

    def published(self, acknowledged: asyncio.Future[None]) -> None:
        assert not acknowledged.done()

    def came_late(self, reply: ReplyRecord) -> None:
        self.late.append(reply)


def caller(outbox: Batches) -> tuple[Caller, Pending]:
    pending = Pending(10, Metrics())
    return Caller(cast(Outbox, outbox), pending, cast(ReplyReader, outbox)), pending


async def test_all_requests_of_a_batch_that_is_not_acknowledged_end_and_no_others() -> None:
    outbox = Batches()
    asking, pending = caller(outbox)
    first = [asyncio.ensure_future(asking.ask("t", b"", lambda _: [], 1_000)) for _ in range(2)]
    await asyncio.sleep(0)
    lost = outbox.next()
    second = asyncio.ensure_future(asking.ask("t", b"", lambda address: outbox.ids.append(address.correlation_id) or [],
                                              1_000))
    await asyncio.sleep(0)
    lost.set_exception(SendFailed("away"))
    for asked in first:
        with pytest.raises(NotAcknowledged, match="which may run all the same") as told:
            await asked
        assert "away" not in str(told.value), "whoever is outside is told nothing of what is inside"
        assert str(told.value.__cause__) == "away"
    reply = ReplyRecord(request_id="r", status=200)
    assert pending.resolve(outbox.ids[0], reply)
    assert await second == reply
    assert len(pending) == 0


async def test_answer_that_comes_late_is_told_to_who_watches() -> None:
    outbox, watch = Batches(), Watching()
    asking, pending = caller(outbox)
    with pytest.raises(TimedOut, match="no answer within 10 ms"):
        await asking.ask("t", b"", lambda address: outbox.ids.append(address.correlation_id) or [], 10, watch)
    reply = ReplyRecord(request_id="r", status=200)
    assert not pending.resolve(outbox.ids[0], reply)
    assert watch.late == [reply]


async def test_events_that_nobody_reads_any_more_take_no_room_from_others() -> None:
    asking, pending = caller(Batches())
    for _ in range(6):
        async with asking.listen("t", b"", lambda _: []) as parts:
            for sequence in range(30):
                parts.take(ReplyRecord(request_id="r", status=200, body=bytes(1_000_000), sequence=sequence))
    _, parts = pending.add_parts()
    for sequence in range(30):
        parts.take(ReplyRecord(request_id="r", status=200, body=bytes(1_000_000), sequence=sequence))
    assert not parts.ended.done()
