"""The client for internal services: opened, closed and used wrongly, and how long it waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from shared.client import client as under_test
from shared.client.caller import Caller
from shared.client.client import WeirClient
from shared.contracts.reply import ReplyRecord
from shared.errors import StreamBroken, TimedOut, Unavailable
from shared.kafka.faults import SendFailed
from shared.settings.kafka import KafkaSettings
from tests.support.fakes import StoppedClock

Choose = Callable[[int], Awaitable[int]]


class Part:
    """Outbox or reply reader: what is sent is never answered. `open`: those that were started and not stopped."""

    stalled, topic, partition = False, "replies.t", 0
    open: set["Part"]
    fault: Exception | None = None

    def __init__(self, *_: Any, choose: Choose | None = None, **__: Any) -> None:
        self._choose = choose

    async def start(self) -> None:
        self.open.add(self)
        if self._choose is not None:
            await self._choose(2)
            if self.fault is not None:
                raise self.fault

    async def stop(self) -> None:
        self.open.discard(self)

    def send(self, *_: Any) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> type[Part]:
    monkeypatch.setattr(Part, "open", set(), raising=False)
    monkeypatch.setattr(under_test, "Outbox", Part)
    monkeypatch.setattr(under_test, "ReplyReader", Part)
    return Part


def client(reply_partition: int = 0) -> WeirClient:
    return WeirClient(KafkaSettings(), reply_topic="replies.t", reply_partition=reply_partition)


async def test_client_that_cannot_be_opened_leaves_nothing_open(
        parts: type[Part], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "fault", SendFailed("no such topic"))
    with pytest.raises(SendFailed, match="no such topic"):
        async with client():
            pass
    assert not parts.open


@pytest.mark.parametrize("partition", [2, -1])
async def test_partition_that_the_reply_topic_does_not_have_is_told_when_the_client_is_opened(
        parts: type[Part], partition: int) -> None:
    with pytest.raises(Unavailable, match=f"replies.t has no partition {partition}: it has 2, counted from 0"):
        async with client(partition):
            pass
    assert not parts.open


async def test_call_of_a_client_that_is_not_open_says_how_it_is_opened() -> None:
    weir = client()
    with pytest.raises(RuntimeError, match=r"not open: call inside of `async with WeirClient"):
        await weir.call("p", "o")
    async with weir:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        await anext(weir.events("p", "o"))


async def test_calls_under_way_end_with_their_client() -> None:
    async with client() as weir:
        waits = asyncio.ensure_future(weir.call("p", "o"))
        listens = asyncio.ensure_future(anext(weir.events("p", "o")))
        await asyncio.sleep(0)
    with pytest.raises(TimedOut, match="has stopped before the answer came; the work goes on"):
        await asyncio.wait_for(waits, 1)
    with pytest.raises(StreamBroken, match="has stopped before the last event"):
        await asyncio.wait_for(listens, 1)


async def test_calls_end_when_answers_are_not_read_any_more() -> None:
    async with client() as weir:
        waits = asyncio.ensure_future(weir.call("p", "o"))
        await asyncio.sleep(0)
        weir._tasks.fail(SendFailed("not authorized"))
        with pytest.raises(TimedOut, match="has stopped"):
            await asyncio.wait_for(waits, 1)
        with pytest.raises(Unavailable, match=r"answers are not read any more: .*not authorized.*open another client"):
            await weir.call("p", "o")


async def test_answer_in_parts_ends_in_time_though_somebody_sets_the_clock_back() -> None:
    clock = StoppedClock()

    class Parts:
        async def next(self, within_s: float) -> ReplyRecord:
            await asyncio.sleep(0)
            assert within_s <= 10
            clock.now, clock.set_ms = clock.now + 4_000, -3_600_000
            if within_s <= 0:
                raise TimeoutError
            return ReplyRecord(request_id="r", status=200, sequence=0)

    class Line:
        @asynccontextmanager
        async def listen(self, *_: Any) -> AsyncIterator[Parts]:
            yield Parts()
    async with client() as weir:
        weir._clock, weir._caller = cast(Any, clock), cast(Caller, Line())
        parts = weir.events("p", "o", timeout_ms=10_000)
        assert [(await anext(parts)).status for _ in range(3)] == [200] * 3
        with pytest.raises(TimedOut, match="within 10000 ms"):
            await anext(parts)
