"""Where counting goes on, and what is read again."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from services.analytics import follow
from services.analytics.follow import Ahead, Places, Rewinder, TopicReplaced
from shared.kafka.faults import KafkaUnavailable
from shared.runtime.tasks import Tasks


def test_partition_goes_on_behind_the_ledger_or_where_the_topic_begins() -> None:
    places = Places()
    assert places.begin({0: 4, 1: 9}, {0: 0, 1: 0, 2: 7}) == {}
    assert places.next == {0: 5, 1: 10, 2: 7}


def test_envelopes_that_the_topic_has_forgotten_are_told() -> None:
    assert Places().begin({0: 4, 1: 9}, {0: 8, 1: 10}) == {0: 3}


def test_only_the_next_envelope_is_taken() -> None:
    places = Places()
    places.begin({0: 4}, {0: 0})
    assert [places.is_next(0, offset) for offset in (4, 6, 5, 5, 6, 7)] == [False, False, True, False, True, True]
    assert not places.is_next(3, 0), "a partition of somebody else"


class Processor:
    """A stream processor that has gone on, to offset 50 of partition 0, without handing over what comes from 5 on.
    `ahead`: what the topic says."""

    def __init__(self, places: Places, ahead: Ahead | KafkaUnavailable) -> None:
        self.places, self.ahead, self.full = places, ahead, False
        self.sought, self.looked = asyncio.Queue[tuple[int, int]](), asyncio.Queue[tuple[int, int]]()
        self.meanwhile, self.anew = False, list[int]()

    async def begin_anew(self, partitions: Sequence[int]) -> None:
        self.anew += partitions

    async def positions(self) -> Mapping[int, int]:
        return {0: 50, 1: 0}

    async def seek(self, partition: int, offset: int) -> None:
        await self.sought.put((partition, offset))

    async def look(self, partition: int, offset: int) -> Ahead:
        await self.looked.put((partition, offset))
        if self.meanwhile:
            self.places.is_next(partition, offset)
        if isinstance(self.ahead, KafkaUnavailable):
            raise self.ahead
        return self.ahead


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    """Of two partitions; looked at every millisecond."""
    monkeypatch.setattr(follow, "_LOOK_S", 0.001)
    found = Places()
    found.begin({0: 4}, {0: 0, 1: 0})
    return found


@asynccontextmanager
async def rewinding(processor: Processor) -> AsyncIterator[None]:
    rewinder = Rewinder(processor.places, Tasks(), lambda: processor.full, processor.look, processor.begin_anew)
    rewinder.begin(processor.positions, processor.seek)
    yield
    await rewinder.end()


async def test_partition_that_was_read_and_not_handed_over_is_read_again(places: Places) -> None:
    processor = Processor(places, Ahead(5, 0))
    async with rewinding(processor):
        assert await processor.sought.get() == (0, 5)
        processor.full = True
        await asyncio.sleep(0.01)
        while not processor.sought.empty():
            processor.sought.get_nowait()
        await asyncio.sleep(0.02)
        assert processor.sought.empty(), "nothing is read again while nothing is taken"


async def test_offsets_that_hold_no_envelope_are_passed_over(places: Places) -> None:
    """As where a producer's transaction ended."""
    processor = Processor(places, Ahead(7, 0))
    async with rewinding(processor):
        assert await processor.sought.get() == (0, 7)
        assert places.is_next(0, 7)


async def test_nothing_is_read_again_where_nothing_came(places: Places) -> None:
    """A transaction's end is the last thing on the topic."""
    processor = Processor(places, Ahead(50, 0))
    async with rewinding(processor):
        await processor.looked.get()
        await asyncio.sleep(0.02)
        assert (places.next[0], processor.looked.empty(), processor.sought.empty()) == (50, True, True)


async def test_envelopes_that_the_topic_forgets_while_it_is_read_are_told(
        places: Places, caplog: pytest.LogCaptureFixture) -> None:
    processor = Processor(places, Ahead(40, 40))
    async with rewinding(processor):
        assert await processor.sought.get() == (0, 40)
    assert "35 envelopes were gone before they were counted" in caplog.text


async def test_envelope_that_comes_while_the_topic_is_asked_is_not_passed_over(places: Places) -> None:
    processor = Processor(places, Ahead(7, 0))
    processor.meanwhile = True
    async with rewinding(processor):
        await processor.looked.get()
        assert places.next[0] == 6


async def test_process_ends_where_the_topic_is_another_one_than_was_counted(places: Places) -> None:
    processor, tasks = Processor(places, Ahead(3, 0)), Tasks()
    places.next[0] = 80
    rewinder = Rewinder(places, tasks, lambda: False, processor.look, processor.begin_anew)
    rewinder.begin(processor.positions, processor.seek)
    assert isinstance(await asyncio.wait_for(tasks.failed, 2), TopicReplaced)
    assert processor.anew == [*places.next], "all of them, before they have grown beyond what was counted"


async def test_place_stays_while_the_topic_cannot_be_asked(places: Places) -> None:
    processor = Processor(places, KafkaUnavailable("away"))
    async with rewinding(processor):
        for _ in range(2):
            await processor.looked.get()
        assert (places.next[0], processor.sought.empty()) == (5, True)
