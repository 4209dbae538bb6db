"""A topic that is followed and does not hold any more what it held: who starts knows less than who runs."""

import asyncio
import gc
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Client, Entity, OldVersion, ProjectVersion
from shared.kafka.follower import ConfigFollower, SignalFollower
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics


class Topic:
    """The first offset there is."""

    def __init__(self, start: int) -> None:
        self.start = start

    async def beginning_offsets(self, places: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(places, self.start)


async def test_topic_that_ends_before_what_was_read_of_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    config = ConfigFollower(KafkaSettings(), Tasks(), Metrics(), lambda _: None)
    signals = SignalFollower(KafkaSettings(), Tasks(), lambda _: None)
    for follower in (config, signals):
        await follower._arrived(7)
        await follower._arrived(9)
    assert not caplog.records
    with caplog.at_level(logging.ERROR):
        await config._arrived(0)
        await signals._arrived(2)
    said = [record.getMessage() for record in caplog.records]
    assert "weir.config was read up to 9 and goes on from 0" in said[0]
    assert "weir export" in said[0]
    assert "weir.signals was read up to 9 and goes on from 2" in said[1]


@pytest.mark.parametrize(("start", "told"), [(0, []), (12, [actions.STREAM_LOST])])
async def test_configuration_whose_first_records_are_gone_is_told(
        start: int, told: list[str], caplog: pytest.LogCaptureFixture) -> None:
    config = ConfigFollower(KafkaSettings(), Tasks(), Metrics(), lambda _: None)
    await config._look_at_start(Topic(start))
    assert [record.__dict__["action"] for record in caplog.records] == told


async def test_others_have_their_turn_while_thousands_of_projects_are_taken_in_each_in_its_order() -> None:
    found: list[Entity] = [
        *(ProjectVersion(project=f"p{number}", version=1, document={}, files={}, time=0) for number in range(50)),
        *(Client(project="p0", name=f"c{number}", time=0) for number in range(2_500))]
    taken, turns = list[Sequence[Entity]](), list[int]()

    async def others() -> None:
        while True:
            turns.append(len(taken))
            await asyncio.sleep(0)

    config = ConfigFollower(KafkaSettings(), Tasks(), Metrics(), taken.append)
    working = asyncio.ensure_future(others())
    await config._take([*found])
    working.cancel()
    assert [entity for part in taken for entity in part] == found
    assert max(sum(isinstance(entity, ProjectVersion) for entity in part) for part in taken) <= 4
    assert len(taken) < 20
    # after each part
    assert set(turns) >= set(range(1, len(taken)))


async def test_collector_does_not_walk_again_what_was_taken_in_at_the_start() -> None:
    kept = list[object]()
    config = ConfigFollower(KafkaSettings(), Tasks(), Metrics(), lambda part: kept.extend([one] for one in part))
    found = [ProjectVersion(project=f"p{number}", version=1, document={}, files={}, time=0) for number in range(50)]
    # those of the tests may be frozen already
    before = gc.get_freeze_count()
    await config._take([*found])
    assert gc.get_freeze_count() == before
    await config._take([*found], at_start=True)
    assert gc.get_freeze_count() >= before + len(kept)


@pytest.mark.parametrize(("older", "held"), [(None, [1, 2, 4, 3, 5, 6]), (2, [5, 6]), (0, [])])
async def test_of_a_project_with_many_versions_those_are_held_that_somebody_may_ask_for(
        older: int | None, held: list[int]) -> None:
    def of_p(version: int) -> ProjectVersion:
        return ProjectVersion(project="p", version=version, document={"name": "p", "number": version}, files={}, time=0)

    taken, found = list[Entity](), list[Entity]()
    config = ConfigFollower(KafkaSettings(), Tasks(), Metrics(), taken.extend, older=older)
    for poll in ((1, 2, 4), (3,), (5, 6, 7)):
        found += map(of_p, poll)
        config._thin_out(found)
    # one alone is ever whole, and not before it is its turn
    assert [one.version for one in found if isinstance(one, OldVersion)] == [*held, 7]
    assert not any(isinstance(one, ProjectVersion) for one in found)
    await config._take(found, at_start=True)
    assert [one.version for one in taken if isinstance(one, OldVersion)] == held
    assert [one for one in taken if isinstance(one, ProjectVersion)] == [of_p(7)]
    known = Catalogue()
    for one in taken:
        known.put(one)
    assert [one.version for one in known.history("p")] == [*sorted(held), 7]
