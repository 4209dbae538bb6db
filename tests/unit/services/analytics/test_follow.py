"""Where counting goes on, and what is read again."""

import asyncio
from collections.abc import Mapping

import pytest

from services.analytics import follow
from services.analytics.follow import Places, Rewinder
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


async def test_partition_that_was_read_and_not_handed_over_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_LOOK_S", 0.001)
    places, sought, full = Places(), asyncio.Queue[tuple[int, int]](), False
    places.begin({0: 4}, {0: 0, 1: 0})
    tasks = Tasks()

    async def positions() -> Mapping[int, int]:
        return {0: 50, 1: 0}

    async def seek(partition: int, offset: int) -> None:
        await sought.put((partition, offset))
    rewinder = Rewinder(places, tasks, lambda: full)
    rewinder.begin(positions, seek)
    assert await sought.get() == (0, 5)
    full = True
    await asyncio.sleep(0.01)
    while not sought.empty():
        sought.get_nowait()
    await asyncio.sleep(0.02)
    assert sought.empty(), "nothing is read again while nothing is taken"
    await rewinder.end()
