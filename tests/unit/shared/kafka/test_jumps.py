"""What is said of a partition that does not go on where its group stopped."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from shared.kafka.jumps import Jumps
from shared.names import actions
from shared.runtime.tasks import Tasks
from tests.support.fakes import FakeRecord

PLACE = TopicPartition("t", 3)


class Topic:
    """What the broker says of its beginning."""

    def __init__(self, start: int | None) -> None:
        self.start = start

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        """None: it does not answer."""
        if self.start is None:
            raise KafkaConnectionError
        return dict.fromkeys(places, self.start)


async def told(start: int | None, *polls: int, caplog: pytest.LogCaptureFixture) -> list[str]:
    """100 is committed; `polls`: first offsets, each of two records."""
    jumps = Jumps("weir-policy", Tasks())
    jumps.begin({PLACE: 100})
    for offset in polls:
        jumps.look(cast(Any, Topic(start)), PLACE, [FakeRecord(offset=offset), FakeRecord(offset=offset + 1)])
        await asyncio.sleep(0.01)
    return [line.getMessage() for line in caplog.records if vars(line)["action"] == actions.STREAM_LOST]


@pytest.mark.parametrize(("start", "polls"), [
    pytest.param(0, (100, 102), id="on and on"), pytest.param(0, (101, 104), id="a transaction ended"),
    pytest.param(300, (100, 300), id="forgotten after it was read"), pytest.param(None, (130,), id="nobody answers")])
async def test_nothing_is_said_of_what_is_not_lost(
        start: int | None, polls: tuple[int, ...], caplog: pytest.LogCaptureFixture) -> None:
    assert await told(start, *polls, caplog=caplog) == []


async def test_records_that_the_topic_forgot_before_the_group_came_are_told(caplog: pytest.LogCaptureFixture) -> None:
    line, = await told(130, 130, 132, caplog=caplog)
    assert "group weir-policy: 30 records of t/3 were gone before they were read, from 100 on" in line
    assert "retention.ms" in line


@pytest.mark.parametrize(("polls", "up_to"), [((0, 2), 100), ((100, 0), 102)], ids=["while away", "while it reads"])
async def test_topic_that_lost_its_end_is_told(
        polls: tuple[int, ...], up_to: int, caplog: pytest.LogCaptureFixture) -> None:
    line, = await told(0, *polls, caplog=caplog)
    assert f"had read t/3 up to {up_to} and goes on from 0" in line
