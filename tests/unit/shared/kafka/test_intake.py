"""A member of a group whose partitions are taken away and come back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, UnknownMemberIdError

from shared.kafka.faults import KafkaUnavailable, SendFailed
from shared.kafka.intake import Intake, Subscription
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from tests.support.fakes import FakeRecord
from tests.support.platform import eventually

PLACE = TopicPartition("t", 0)


class Stuck:
    """A consumer whose commits never end, and that has committed nothing before."""

    async def commit(self, _: Any) -> None:
        """Never returns."""
        await asyncio.Event().wait()

    @property
    def _coordinator(self) -> "Stuck":
        return self

    async def fetch_committed_offsets(self, _: Any) -> dict[Any, Any]:
        """Nothing is committed."""
        return {}

    async def end_offsets(self, _: Any) -> dict[Any, int]:
        """The broker answers."""
        return {}


class Unknown(Stuck):
    """A consumer whose group does not know it."""

    async def commit(self, _: Any) -> None:
        """Fails as the client's does."""
        raise CommitFailedError("rebalanced") from UnknownMemberIdError()


def member(consumer: Any, session_ms: int = 50) -> Intake:
    """The record at 4 is finished, and not committed."""
    intake = Intake(
        KafkaSettings(session_timeout_ms=session_ms, request_timeout_ms=50, heartbeat_interval_ms=10), Tasks(),
        Metrics(), Subscription(group="g", instance="i", topics=("t",), max_open=1))
    intake._consumer = consumer
    record = FakeRecord(topic="t", offset=4)
    intake._held.take(PLACE, [record])
    intake._held.finished([record])
    return intake


async def test_offset_of_a_partition_that_has_moved_meanwhile_is_not_put_back() -> None:
    intake = member(Stuck())
    committing = asyncio.create_task(intake._commit())
    await asyncio.sleep(0)
    await intake.on_partitions_assigned([PLACE])
    await committing
    assert intake._held.trackers[PLACE].take_committable() is None


async def test_member_that_is_of_no_group_yet_lets_go_of_its_partitions() -> None:
    await member(Unknown()).on_partitions_revoked([PLACE])


async def test_place_that_is_taken_while_the_group_rebalances_ends_the_process() -> None:
    intake = member(Unknown(), session_ms=60_000)
    await intake.on_partitions_assigned([])
    await asyncio.sleep(0.03)
    # what a listener raises the client passes over
    await intake.on_partitions_revoked([PLACE])
    assert isinstance(await asyncio.wait_for(intake._tasks.failed, 1), KafkaUnavailable)


class Polled:
    """A consumer of one partition, as often as it is assigned from the first record on; it notes commits."""

    def __init__(self, records: list[FakeRecord]) -> None:
        self.records, self.waiting, self.commits = records, list[FakeRecord](), list[Any]()
        self.unauthorized_topics = set[str]()
        self._client = self.cluster = self

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[FakeRecord]]:
        """All that waits."""
        found, self.waiting = self.waiting, []
        await asyncio.sleep(0.001)
        return {PLACE: found} if found else {}

    async def commit(self, offsets: dict[TopicPartition, tuple[int, str]]) -> None:
        """Taken."""
        self.commits.append(offsets[PLACE][0])

    @property
    def _coordinator(self) -> "Polled":
        return self

    async def fetch_committed_offsets(self, _: Any) -> dict[Any, Any]:
        """Nothing is told beside the offset, and nothing was committed."""
        return {}

    async def stop(self) -> None:
        """Gone."""


def reader(consumer: Polled) -> tuple[Intake, list[FakeRecord], Callable[[], Awaitable[None]]]:
    """One that only begins what it is handed; what it has begun; a rebalance that leaves it its partition."""
    intake = Intake(KafkaSettings(commit_interval_ms=600_000), Tasks(), Metrics(), Subscription(
        group="g", instance="i", topics=("t",), max_open=10))
    intake._consumer = consumer
    begun: list[FakeRecord] = []
    intake.handler = begun.extend  # type: ignore[assignment]  # doubles
    intake._room.set()
    intake._idle.set()

    async def assigned() -> None:
        await intake.on_partitions_revoked([PLACE])
        await intake.on_partitions_assigned([PLACE])
        consumer.waiting = list(consumer.records)
        await eventually(lambda: not consumer.waiting)
        await asyncio.sleep(0.01)
    return intake, begun, assigned


async def test_what_is_worked_on_here_does_not_begin_again_when_its_partition_comes_back() -> None:
    consumer = Polled([FakeRecord(topic="t", offset=offset, timestamp=5) for offset in range(4)])
    intake, begun, assigned = reader(consumer)
    polling = asyncio.create_task(intake._poll(consumer))
    await assigned()
    assert [one.offset for one in begun] == [0, 1, 2, 3]
    # it comes back before anything is finished, and again once something is
    await assigned()
    await intake.on_partitions_revoked([PLACE])
    intake.finished(begun[1:3])
    consumer.records.append(FakeRecord(topic="t", offset=4, timestamp=6))
    # another record in the place of one that the broker has lost
    consumer.records[3] = FakeRecord(topic="t", offset=3, timestamp=9)
    await assigned()
    assert [one.offset for one in begun[4:]] == [3, 4]
    assert intake.open() == 3
    intake.finished([*begun[:1], *begun[4:]])
    await intake._commit()
    assert (intake.open(), consumer.commits) == (0, [5])
    # nothing of it is kept
    assert not intake._held._in_hand
    polling.cancel()


async def test_stop_waits_for_what_is_worked_on_here_though_nothing_else_has_come_with_its_partition() -> None:
    consumer = Polled([FakeRecord(topic="t", offset=0, timestamp=5)])
    intake, begun, assigned = reader(consumer)
    polling = asyncio.create_task(intake._poll(consumer))
    await assigned()
    await assigned()
    assert (len(begun), intake.open()) == (1, 1)
    stopping = asyncio.create_task(intake.stop())
    await asyncio.sleep(0.01)
    assert not stopping.done(), "it would be cut off, and done again by whoever comes next"
    intake.finished(begun)
    await asyncio.wait_for(stopping, 1)
    assert consumer.commits == [1]
    await polling


async def test_topic_that_a_member_may_not_read_is_not_left_out_in_silence() -> None:
    consumer = Polled([])
    intake, _, _ = reader(consumer)
    # the client goes on with the topics that it may read
    consumer.unauthorized_topics = {"t"}
    with pytest.raises(SendFailed, match=r"reading t: .*`python -m deploy\.kafka\.acls`"):
        await asyncio.wait_for(intake._fetch(consumer), 1)


async def test_topic_that_has_lost_its_newest_records_is_committed_by_what_it_has_now() -> None:
    consumer = Polled([FakeRecord(topic="t", offset=offset, timestamp=5) for offset in range(90, 100)])
    intake, begun, assigned = reader(consumer)
    polling = asyncio.create_task(intake._poll(consumer))
    await assigned()
    # two go on, one of which the topic still has
    intake.finished([one for one in begun if one.offset not in (92, 98)])
    await intake._commit()
    # it ended at 94, and goes on with others; the client begins with what there is
    consumer.waiting = [FakeRecord(topic="t", offset=offset, timestamp=5 if offset < 94 else 9)
                        for offset in range(90, 96)]
    before = len(begun)
    await eventually(lambda: len(begun) > before)
    again = begun[before:]
    assert [one.offset for one in again] == [90, 91, 93, 94, 95], "what goes on is not begun a second time"
    intake.finished(again[:3])
    intake.finished(begun[2:3])
    await intake._commit()
    # by 98, which goes on, whoever came next would have passed over 94 and 95
    assert consumer.commits == [92, 94]
    assert intake.open() == 2
    consumer.waiting = [FakeRecord(topic="t", offset=offset, timestamp=9) for offset in range(96, 100)]
    await eventually(lambda: len(begun) == before + 9)
    intake.finished(one for one in begun[before:] if one.offset != 98)
    # what was at 98 ends, which says nothing of what is there now
    intake.finished(begun[8:9])
    await intake._commit()
    assert (consumer.commits[-1], intake.open()) == (98, 1)
    intake.finished(begun[before:])
    await intake._commit()
    assert (consumer.commits[-1], intake.open()) == (100, 0)
    polling.cancel()
