"""A member that cannot commit may not be one any more."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, OffsetMetadataTooLargeError, UnknownMemberIdError

from shared.kafka.commits import Commits
from shared.kafka.faults import KafkaUnavailable
from shared.kafka.offsets import OffsetTracker
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from tests.support.fakes import FakeRecord

PLACE = TopicPartition("t", 0)


class Lost:
    """A consumer that has lost its coordinator: it fetches, and never commits. `away`: nor does the broker answer."""

    def __init__(self, *, away: bool = False) -> None:
        self.away, self.commits = away, list[Any]()

    async def commit(self, offsets: Any) -> None:
        """Never returns while it is lost."""
        self.commits.append(offsets)
        await asyncio.Event().wait()

    async def end_offsets(self, _: Any) -> dict[Any, int]:
        """Needs no coordinator."""
        if self.away:
            await asyncio.Event().wait()
        return {}


class Short(Lost):
    """Takes offsets, and little beside them."""

    async def commit(self, offsets: Any) -> None:
        """Refused for a text."""
        self.commits.append(offsets)
        if any(text for _, text in offsets.values()):
            raise OffsetMetadataTooLargeError


class Unknown(Lost):
    """A consumer whose group does not know it."""

    async def commit(self, offsets: Any) -> None:
        """Fails as the client's does."""
        raise CommitFailedError("rebalanced") from UnknownMemberIdError()


class Member:
    """Its commits, and one partition of which the record at 4 is finished."""

    def __init__(self, consumer: Lost, session_ms: int = 50) -> None:
        # a real one loses its coordinator once in many crashes
        self.consumer, self.tracker = consumer, OffsetTracker()
        self.commits = Commits(
            KafkaSettings(session_timeout_ms=session_ms, request_timeout_ms=50, heartbeat_interval_ms=10), Metrics(),
            "g", "i")
        self.fetched(4)
        self.tracker.finished([4])

    def fetched(self, *offsets: int) -> Sequence[FakeRecord]:
        records = [FakeRecord(offset=offset) for offset in offsets]
        self.tracker.fetched(records)
        return records

    async def commit(self) -> None:
        await self.commits.commit(self.consumer, {PLACE: self.tracker})


async def test_member_that_cannot_commit_though_the_broker_answers_ends() -> None:
    member = Member(Lost())
    await member.commit()
    with pytest.raises(KafkaUnavailable, match="joins anew"):
        await member.commit()
    assert member.consumer.commits == [{PLACE: (5, "")}, {PLACE: (5, "")}], "what is not committed is committed later"


async def test_member_outlasts_a_broker_that_is_away() -> None:
    consumer = Lost(away=True)
    member = Member(consumer)
    for _ in range(3):
        await member.commit()
    consumer.away = False
    await member.commit()
    member.fetched(5)
    member.tracker.finished([5])
    with pytest.raises(KafkaUnavailable, match="joins anew"):
        await member.commit()
    assert consumer.commits == [{PLACE: (5, "")}] * 4 + [{PLACE: (6, "")}]


async def test_broker_that_takes_no_text_beside_an_offset_gets_the_offset_alone(
        caplog: pytest.LogCaptureFixture) -> None:
    member = Member(Short())
    member.fetched(5, 6, 7)
    member.tracker.finished([6])
    await member.commit()
    await member.commit()
    member.tracker.finished([7])
    await member.commit()
    told, *others = member.consumer.commits
    assert told[PLACE][0] == 5
    assert told[PLACE][1]
    assert others == [{PLACE: (5, "")}, {PLACE: (5, "")}]
    assert "offset.metadata.max.bytes" in caplog.text


async def test_member_with_nothing_to_commit_asks_nobody() -> None:
    member = Member(Lost())
    member.tracker.take_committable()
    await member.commit()
    assert member.consumer.commits == []


async def test_member_whose_place_another_process_has_taken_ends_and_one_whose_session_is_over_joins_anew() -> None:
    member = Member(Unknown())
    member.commits.joined()
    await asyncio.sleep(0.06)
    await member.commit()
    member.commits.joined()
    with pytest.raises(KafkaUnavailable, match="joined under this name"):
        await member.commit()


async def test_of_two_processes_under_one_name_the_newer_one_stays() -> None:
    old, new = Member(Unknown(), session_ms=60_000), Member(Unknown(), session_ms=60_000)
    old.commits.joined()
    await asyncio.sleep(0.03)
    # the old one, which has not heard of it yet, has taken the place back
    new.commits.joined()
    await new.commit()
    with pytest.raises(KafkaUnavailable, match="joined under this name"):
        await old.commit()
