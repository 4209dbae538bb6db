"""Past requests are decided in the order of their times, wherever they stand and however polls cut them."""

import asyncio
from itertools import count
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnsupportedCodecError
from aiokafka.structs import OffsetAndTimestamp
from pydantic import ValidationError

from services.control import past_requests
from services.control.past_requests import PastRequests
from services.control.resources.access import Draft
from shared.contracts import ids
from shared.contracts.config import ProjectVersion
from shared.errors import Unavailable
from shared.names import headers as H
from shared.names import topics
from shared.project.model import Project
from shared.settings.kafka import KafkaSettings
from tests.support.calls import NOW, OPERATIONS, STEPS, book, case
from tests.support.fakes import FakeRecord

ONE, OTHER, INSIDE = (TopicPartition(topics.REQUESTS_EDGE, 0), TopicPartition(topics.REQUESTS_EDGE, 1),
                      TopicPartition(topics.REQUESTS_INTERNAL, 0))
LIVE = book([])


class Consumer:
    """Partitions; `sizes`: how many records of each one a poll brings."""

    unreadable: frozenset[tuple[TopicPartition, int]] = frozenset()

    def __init__(self, times: dict[TopicPartition, list[int]], sizes: dict[TopicPartition, int]) -> None:
        self._records = {place: [past_call(place, offset, time) for offset, time in enumerate(found)]
                         for place, found in times.items()}
        self._sizes, self._next, self._paused = sizes, dict.fromkeys(times, 0), set[TopicPartition]()
        self._ends = {place: len(found) for place, found in self._records.items()}

    def assignment(self) -> set[TopicPartition]:
        return set(self._records)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self._ends[place] for place in places}

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        found = {place: next((one for one in self._records[place] if one.timestamp >= time_ms), None)
                 for place, time_ms in times.items()}
        return {place: one and OffsetAndTimestamp(one.offset, one.timestamp) for place, one in found.items()}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._next[place] = offset

    def pause(self, *places: TopicPartition) -> None:
        self._paused.update(places)

    async def getmany(self, *places: TopicPartition, timeout_ms: int,
                      max_records: int | None = None) -> dict[TopicPartition, list[FakeRecord]]:
        assert not self._paused.intersection(places)
        polled = {place: self._records[place][self._next[place]:][:max_records or self._sizes[place]]
                  for place in places}
        for place, records in polled.items():
            if any((place, record.offset) in self.unreadable for record in records):
                # what came of other partitions before it is gone, as with the client
                raise UnsupportedCodecError("no library for lz4")
            self._next[place] += len(records)
            # the topics are written to meanwhile
            self._records[place].append(past_call(place, len(self._records[place]), 10**9))
        return polled

    async def position(self, place: TopicPartition) -> int:
        return self._next[place]

    async def stop(self) -> None:
        assert self._paused == {place for place, end in self._ends.items() if self._next[place] >= end}


def past_call(place: TopicPartition, offset: int, time: int) -> FakeRecord:
    request = case(LIVE, "open", token=None, request_id=ids.request_id(NOW + time)).request
    return FakeRecord(topic=place.topic, partition=place.partition, offset=offset, timestamp=NOW + time,
                      headers=list(request.to_headers()), value=b"")


async def replayed(monkeypatch: pytest.MonkeyPatch, times: dict[TopicPartition, list[int]],
                   sizes: dict[TopicPartition, int], since: int = 0, most: int = 10_000) -> dict[str, Any]:
    async def consumer(*_: object) -> Consumer:
        return Consumer(times, sizes)
    monkeypatch.setattr(past_requests.connect, "lone_consumer", consumer)
    draft = book([{"name": "fair", "action": "accept",
                   "limits": [{"limit": 10, "per": "minute", "by": "project"}]}]).project("p")
    assert draft is not None
    return await PastRequests(KafkaSettings(), LIVE, most).run(draft, NOW + since)


EVERY_4S = list(range(0, 3_600_000, 3750))
# who has which of the calls: one after the other; much, little and nothing; one that ends after ten minutes
SPREAD = [{ONE: EVERY_4S}, {ONE: EVERY_4S[::2], OTHER: EVERY_4S[1::2]},
          {ONE: EVERY_4S[::2], OTHER: [], INSIDE: EVERY_4S[1::2]},
          {ONE: EVERY_4S[:160:2], OTHER: [*EVERY_4S[1:160:4], *EVERY_4S[160:]], INSIDE: EVERY_4S[3:160:4]}]


@pytest.mark.parametrize("sizes", [(500, 500, 500), (100, 20, 3), (1, 300, 50), (7, 1, 500)])
@pytest.mark.parametrize("times", SPREAD)
async def test_limits_admit_the_same_wherever_the_calls_stand_and_however_they_are_read(
        monkeypatch: pytest.MonkeyPatch, times: dict[TopicPartition, list[int]], sizes: tuple[int, int, int]) -> None:
    told = await replayed(monkeypatch, times, dict(zip((ONE, OTHER, INSIDE), sizes, strict=True)))
    assert (told["requests"], told["records_read"], told["cut"]) == (960, 960, False)
    assert told["admitted_after"] == 568


async def test_replay_that_is_cut_has_the_oldest_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {ONE: [*range(0, 100, 2)], OTHER: [*range(1, 100, 2), 90_000]}
    told = await replayed(monkeypatch, times, {ONE: 40, OTHER: 7}, since=10, most=30)
    assert (told["requests"], told["records_read"], told["cut"]) == (30, 30, True)
    assert told["admitted_after"] == 10
    samples = [ids.made_ms(one) - NOW for change in told["changes"] for one in change["samples"]]
    assert samples == [20, 21, 22, 23, 24]


async def test_calls_from_before_are_none_of_it_where_a_publishers_clock_was_ahead(
        monkeypatch: pytest.MonkeyPatch) -> None:
    times = {ONE: [3_000_000, 0, 10, 20, 30], OTHER: [5, 15, 25]}
    told = await replayed(monkeypatch, times, {ONE: 2, OTHER: 2}, since=20)
    assert told["requests"] == 4


async def test_record_that_the_client_cannot_read_ends_no_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Consumer, "unreadable", frozenset({(ONE, 50), (OTHER, 0), (INSIDE, 319)}))
    times = {ONE: EVERY_4S[::3], OTHER: EVERY_4S[1::3], INSIDE: EVERY_4S[2::3]}
    told = await replayed(monkeypatch, times, {ONE: 100, OTHER: 7, INSIDE: 500})
    assert (told["requests"], told["records_read"], told["cut"]) == (957, 960, False)


async def test_replay_that_nobody_waits_for_ends_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = iter([False, False, True])
    stopped = asyncio.Event()

    async def stop(_: Consumer) -> None:
        stopped.set()
    monkeypatch.setattr(Consumer, "stop", stop)

    async def consumer(*_: object) -> Consumer:
        return Consumer({ONE: EVERY_4S}, {ONE: 10})
    monkeypatch.setattr(past_requests.connect, "lone_consumer", consumer)
    replays, draft = PastRequests(KafkaSettings(), LIVE, 10_000), LIVE.project("p")
    assert draft is not None
    with pytest.raises(Unavailable, match="has gone"):
        await replays.run(draft, NOW, lambda: next(looked))
    assert stopped.is_set()
    assert (await replays.run(draft, NOW))["requests"] == len(EVERY_4S)


async def test_what_is_put_in_force_while_a_replay_runs_decides_none_of_its_calls(
        monkeypatch: pytest.MonkeyPatch) -> None:
    here, polls = book([]), count()
    draft, nobody = here.project("p"), {"name": "nobody", "action": "reject"}
    assert draft is not None

    def look() -> bool:
        if next(polls) == 5:
            document = Project.model_validate({
                "name": "p", "workflows": {"w": {"name": "w", "steps": STEPS}}, "operations": OPERATIONS,
                "policies": [nobody]}).to_document()
            here.take([ProjectVersion(project="p", version=4, document=document, files={}, time=0)])
        return False

    async def consumer(*_: object) -> Consumer:
        return Consumer({ONE: EVERY_4S}, {ONE: 100})
    monkeypatch.setattr(past_requests.connect, "lone_consumer", consumer)
    told = await PastRequests(KafkaSettings(), here, 10_000).run(draft, NOW, look)
    assert (told["admitted_before"], told["admitted_after"], told["changes"]) == (960, 960, [])


async def test_records_that_policy_refuses_whatever_the_version_are_no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    address = [(H.REPLY_TOPIC, b"else.where"), (H.CORRELATION_ID, b"1")]
    odd = [("authorization", b"Bearer x")], address, [(H.REPLY_TOPIC, b"replies.x"), address[1]], []

    async def consumer(*_: object) -> Consumer:
        made = Consumer({INSIDE: [0, 1, 2, 3, 4]}, {INSIDE: 100})
        records = made._records[INSIDE]
        for record, headers in zip(records, odd, strict=False):
            record.headers.extend(headers)
        records[4].value = b"x" * 900_001
        return made
    monkeypatch.setattr(past_requests.connect, "lone_consumer", consumer)
    draft = LIVE.project("p")
    assert draft is not None
    told = await PastRequests(KafkaSettings(), LIVE, 10_000).run(draft, NOW)
    assert (told["records_read"], told["requests"], told["admitted_before"]) == (5, 2, 2)


@pytest.mark.parametrize("since", [-1, 10**19, NOW * 1000])
def test_since_is_a_time_in_milliseconds(since: int) -> None:
    with pytest.raises(ValidationError):
        Draft(files={}, since=since)
