"""Where counting begins, and what is said while the store takes nothing."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from services.analytics.fold import Folded, Placed
from services.analytics.inbox import AnalyticsParts, Counter
from services.analytics.ledger import Entry
from services.analytics.settings import AnalyticsSettings
from shared.runtime.tasks import Tasks
from shared.store.redis import StoreUnavailable
from shared.telemetry.metrics import Metrics
from tests.support.fakes import FakeRecord


class Ledger:
    """Counted are all but the last offset of two partitions."""

    def __init__(self) -> None:
        self.anew: list[int] = []

    async def offsets(self) -> dict[int, int]:
        return {0: 8, 1: 8}

    async def begin_anew(self, partitions: Sequence[int]) -> None:
        self.anew += partitions


async def test_topic_that_ends_before_what_was_counted_is_another_one_and_counted_from_its_beginning() -> None:
    ledger = Ledger()
    counter = Counter(cast(AnalyticsParts, cast(Any, type("Parts", (), {"ledger": ledger}))))
    assert await counter.begin({0: 0, 1: 2, 2: 3}, {0: 9, 1: 8, 2: 3}) == {0: 9, 1: 2, 2: 3}
    assert ledger.anew == [1]


async def test_counter_whose_store_does_not_say_where_to_go_on_waits_until_it_does() -> None:
    class Away(Ledger):
        async def offsets(self) -> dict[int, int]:
            if asked.pop():
                raise StoreUnavailable("LOADING")
            return await super().offsets()
    asked = [False, True, True]
    counter = Counter(cast(AnalyticsParts, SimpleNamespace(ledger=Away(), settings=SimpleNamespace(store_retry_s=0))))
    for _ in range(2):
        assert await counter.begin({0: 0}, {0: 9}) is None
        # the watchdog would end a process that reads nothing without a reason
        assert (counter.full, await counter.probe()) == (True, "the store takes no counts: LOADING")
    assert await counter.begin({0: 0}, {0: 9}) == {0: 9}
    assert (counter.full, await counter.probe()) == (False, None)


class Full:
    """A ledger whose store answers, and has no room until somebody makes some."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.asked = asyncio.Event()

    async def enter(self, batch: Sequence[Placed], _: Any) -> Entry:
        """Refused until there is room."""
        self.asked.set()
        if not self.room.is_set():
            raise StoreUnavailable("OOM command not allowed")
        return Entry(Folded(records=len(batch)), {})


async def test_counter_whose_store_answers_and_takes_nothing_is_not_ready_until_it_does() -> None:
    ledger, done, tasks, metrics = Full(), asyncio.Event(), Tasks(), Metrics()
    counter = Counter(AnalyticsParts(
        settings=AnalyticsSettings(store_retry_s=0.001), screen=cast(Any, SimpleNamespace(read=lambda _: None)),
        catch_up=cast(Any, None), dead_letters=cast(Any, None), metrics=metrics, ledger=cast(Any, ledger),
        tasks=tasks))
    counter.places.begin({}, {0: 0})
    await counter.start()
    assert await counter.probe() is None
    await counter.count(FakeRecord(), done.set)
    await ledger.asked.wait()
    # what `weir status` and dashboards tell of a consumer that works
    assert f'weir_records_consumed_total{{topic="{FakeRecord().topic}"}} 1.0' in metrics.text()[0].decode()
    await asyncio.sleep(0.01)
    assert await counter.probe() == "the store takes no counts: OOM command not allowed"
    ledger.room.set()
    await asyncio.wait_for(done.wait(), 5)
    assert await counter.probe() is None
    await counter.stop()
