"""Recorded traffic, replayed through two analytics processes that each see a part: what is found, and how soon."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.analytics.abuse_book import AbuseBook
from services.analytics.fold import Folded
from services.analytics.recall import Recall
from services.analytics.watch import Watch, WatchParts
from shared.contracts.config import ProjectVersion
from shared.contracts.signal import Signal
from shared.contracts.usage import UsageEvent
from shared.decision.signals import SignalBoard
from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store.redis import Store
from shared.telemetry.metrics import Metrics
from tests.support import traffic
from tests.support.fakes import FakeOutbox, StoppedClock
from tests.support.platform import Platform
from tests.support.traffic import MAKERS

# how soon, at the latest, in seconds since it began
SOON = {"credential-stuffing": 5, "slow-stuffing": 45, "stuffing-from-a-network": 8, "path-scan": 8, "strays": 10,
        "path-scan-with-numbers": 12, "shared-token": 90, "hammering": 30, "baseline-jump": 40, "error-payloads": 15}


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    """The cluster's store."""
    found = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield found
    await found.stop()


class Cluster:
    """Some analytics processes, a clock, and what stands on the topic of signals."""

    def __init__(self, store: Store, project: str, abuse: dict[str, Any] | None = None, processes: int = 2) -> None:
        self.clock, self.outbox, self.tasks = StoppedClock(traffic.START), FakeOutbox(), Tasks()
        self.book, self.metrics = AbuseBook("observe"), Metrics()
        self.book.take([ProjectVersion(project=project, version=1, files={}, time=0, document={
            "name": project, "abuse": abuse or {}})])
        self.watches = [Watch(WatchParts(
            clock=self.clock, book=self.book, board=SignalBoard(), recall=Recall(store), outbox=self.outbox,
            tasks=self.tasks, metrics=self.metrics)) for _ in range(processes)]
        self.signals: list[Signal] = []

    async def replay(self, events: Sequence[UsageEvent], until_ms: int = 0) -> list[Signal]:
        """Everybody sees a part, turn by turn; before `until_ms` time flies."""
        chance = random.Random(1)
        at, end = 0, events[0].time
        while end < events[-1].time + 7_000:
            end += 60_000 if end < until_ms - 60_000 else 1_000
            parts: list[list[UsageEvent]] = [[] for _ in self.watches]
            while at < len(events) and events[at].time < end:
                chance.choice(parts).append(events[at])
                at += 1
            self.clock.now = end
            await self.turn(parts)
        return self.signals

    async def turn(self, parts: Sequence[Sequence[UsageEvent]]) -> list[Signal]:
        """Everybody sees their part, and judges."""
        for watch, part in zip(self.watches, parts, strict=True):
            watch.see(Folded(requests=list(part)))
            turn = asyncio.ensure_future(watch.turn())
            while not turn.done():
                await asyncio.wait([turn], timeout=0.002)
                self._acknowledge()
            await turn
        return self.signals

    def _acknowledge(self) -> None:
        for sent in self.outbox.sent:
            sent.done.set_result(None)
            signal = Signal.from_record(sent.key, sent.value or b"")
            self.signals.append(signal)
            for watch in self.watches:
                watch.hear([signal])
        self.outbox.sent.clear()

    def lift(self, signal: Signal) -> None:
        """As a person does it."""
        for watch in self.watches:
            watch.hear([Signal(project=signal.project, kind=signal.kind, subject=signal.subject, action="unblock",
                               until=self.clock.now, time=self.clock.now, detector="manual")])


@pytest.mark.parametrize("name_of", MAKERS)
async def test_recorded_traffic_is_judged_as_it_should_be(
        store: Store, name: str, tmp_path: Path, name_of: str) -> None:
    recording = traffic.read(traffic.write(tmp_path, name_of, name))
    cluster = Cluster(store, name)
    found = await cluster.replay(recording.events, recording.began)
    if recording.wanted is None:
        assert found == []
        print(f"\n| {name_of} | honest | nothing |")
        return
    assert {(signal.detector, signal.kind, signal.subject) for signal in found} == {recording.wanted}
    took_s = (found[0].time - recording.began) / 1000
    print(f"\n| {name_of} | {recording.wanted[0]} of {recording.wanted[1]} | found after {took_s:.0f} s |")
    assert took_s <= SOON[name_of]
    assert found[0].evidence["requests"], found[0]
    assert set(found[0].evidence["requests"]) <= {event.id for event in recording.events}
    # the two processes say it once, and again when it goes on past half of its time only
    assert len(found) == 1


async def test_what_one_process_saw_counts_in_all_of_them(store: Store, name: str) -> None:
    events = traffic.record("credential-stuffing", name).events
    for processes in (1, 4):
        cluster = Cluster(store, f"{name}-{processes}", {"credential_burst": {"failures": 60}}, processes)
        mine = [msgspec.structs.replace(event, project=f"{name}-{processes}") for event in events]
        found = await cluster.replay(mine)
        assert [signal.detector for signal in found] == ["credential-burst"]
        # sixty failures take six seconds, whoever sees them
        assert found[0].time - traffic.START <= 9_000


async def test_who_is_exempt_or_not_looked_for_is_not_found(store: Store, name: str) -> None:
    events = traffic.record("path-scan", name).events
    for settings in ({"exempt": {"networks": ["203.0.113.0/24"]}}, {"path_scan": {"enabled": False}},
                     {"path_scan": {"paths": 40}}):
        assert await Cluster(store, name, settings).replay(events) == []
    jump = traffic.record("hammering", name).events
    assert await Cluster(store, name, {"exempt": {"clients": ["shop"]}}).replay(jump) == []


async def test_signal_does_what_its_detector_or_the_project_says_for_as_long(store: Store, name: str) -> None:
    settings = {"action": "throttle", "for": "10m", "rate": 7, "path_scan": {"action": "block", "for": "2m"}}
    cluster = Cluster(store, name, settings)
    scan, hammer = traffic.record("path-scan", name), traffic.record("hammering", name)
    await cluster.replay(sorted([*scan.events, *hammer.events], key=lambda event: event.time))
    signals = {signal.detector: signal for signal in cluster.signals}
    assert set(signals) == {"path-scan", "hammering"}
    block, throttle = signals["path-scan"], signals["hammering"]
    assert (block.action, block.until - block.time, block.rate) == ("block", 120_000, 0)
    assert (throttle.action, throttle.until - throttle.time, throttle.rate) == ("throttle", 600_000, 7)
    assert (block.version, block.project) == (1, name)


async def test_abuse_that_goes_on_is_said_again_before_the_signal_ends(store: Store, name: str) -> None:
    cluster = Cluster(store, name, {"for": "40s"})
    await cluster.replay(traffic.record("hammering", name).events)
    ends = [signal.until for signal in cluster.signals]
    assert 2 <= len(ends) <= 5
    assert all(later.time < earlier.until for earlier, later in itertools.pairwise(cluster.signals))


async def test_whoever_is_let_in_again_is_judged_by_what_comes_after(store: Store, name: str) -> None:
    cluster = Cluster(store, name)
    events = traffic.record("credential-stuffing", name).events
    first = [event for event in events if event.time < traffic.START + 10_000]
    found = await cluster.replay(first)
    assert len(found) == 1
    cluster.lift(found[0])
    await asyncio.sleep(0.2)
    # a few failures more would have been enough, had the old ones counted
    later = [event for event in events if traffic.START + 20_000 < event.time < traffic.START + 21_500]
    assert len(await cluster.replay(later)) == 1
    assert len(await cluster.replay([event for event in events if event.time > traffic.START + 30_000])) == 2


async def test_whoever_goes_on_at_once_after_being_let_in_is_found_at_once(store: Store, name: str) -> None:
    cluster = Cluster(store, name)
    events = [event for event in traffic.record("credential-stuffing", name).events
              if event.time < traffic.START + 8_000]
    for expected in (1, 2):
        assert len(await cluster.turn([events, []])) == expected
        cluster.lift(cluster.signals[-1])
        await asyncio.sleep(0.2)


async def test_store_that_is_away_costs_sightings_and_nothing_else(store: Store, name: str) -> None:
    away = Store(RedisSettings(url="redis://127.0.0.1:1/0"), patient=True)
    cluster = Cluster(away, name, processes=1)
    assert await cluster.replay(traffic.record("path-scan", name).events[:20]) == []
    assert cluster.metrics.registry.get_sample_value("weir_sightings_passed_over_total") >= 1
    await away.stop()


async def test_memory_of_a_subject_is_small_and_ends_with_its_window(store: Store, name: str) -> None:
    await Cluster(store, name).replay(traffic.record("stuffing-from-a-network", name).events)
    keys = await store.command("KEYS", f"weir:abuse:*:{name}:*")
    assert 1 <= len(keys) <= 4
    for key in keys:
        assert 0 < await store.command("TTL", key) <= 8 * 86_400
        assert await store.command("MEMORY", "USAGE", key) < 8_000


async def test_process_that_is_killed_takes_what_it_has_not_told_and_no_more(store: Store, name: str) -> None:
    events = traffic.record("slow-stuffing", name).events
    first = Cluster(store, name, processes=1)
    assert await first.replay([event for event in events if event.time < traffic.START + 36_000]) == []
    after = Cluster(store, name, processes=1)
    found = await after.replay([event for event in events if event.time >= traffic.START + 36_000])
    # nineteen failures were remembered by nobody but the store
    assert [signal.evidence["failures"] for signal in found] == [20]
