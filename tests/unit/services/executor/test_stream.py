"""The events of an execution, where the broker is slow."""

import asyncio
from typing import Any, cast

import pytest

from services.executor.stream import Stream
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import ReplyAddress
from tests.support.fakes import FakeRecord


class Slow:
    """Answers that are all in one batch, which is not acknowledged."""

    def __init__(self) -> None:
        self.batch: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def placed(self, address: ReplyAddress) -> ReplyAddress:
        return address

    def send(self, *_: Any) -> list[asyncio.Future[None]]:
        return [self.batch]


async def test_execution_that_is_ended_while_it_waits_for_the_broker_leaves_the_answers_of_others_open() -> None:
    slow = Slow()
    execution = ExecutionRecord(
        request_id="r", project="p", version=1, operation="o", client="c", source="edge", origin=Origin("t", 0, 0),
        deadline_ms=1, reply_to=ReplyAddress(correlation_id=b"r", topic="replies.a", partition=0))
    stream = Stream(cast(Any, slow), FakeRecord(), execution, 1_000)

    async def emit() -> None:
        while True:
            await stream.emit("e", 1)
    emitting = asyncio.create_task(emit())
    await asyncio.sleep(0)
    assert not emitting.done()
    emitting.cancel()
    await asyncio.gather(emitting, return_exceptions=True)
    assert (emitting.cancelled(), slow.batch.done()) == (True, False)


@pytest.mark.parametrize(("events", "last", "status"), [
    ([100, 100], 100, 200), ([300, 300, 300, 300], 10, 409), ([400, 400], 400, 409)])
async def test_events_that_are_too_many_to_come_again_are_told_so_under_their_key(
        events: list[int], last: int, status: int) -> None:
    execution = ExecutionRecord(
        request_id="r", project="p", version=1, operation="o", client="c", source="edge", origin=Origin("t", 0, 0),
        deadline_ms=1, claim={"key": "k"})
    stream = Stream(cast(Any, Slow()), FakeRecord(), execution, 1_000)
    for size in events:
        await stream.emit("e", "x" * size)
    whole = stream.whole(ReplyRecord(request_id="r", status=200, body=b"y" * last))
    assert (whole.status, len(whole.body) <= 1_000) == (status, True)
    assert (whole.body.count(b"event: ") == len(events) + 1) is (status == 200)
