"""What is not said of an allowance now is said later."""

import asyncio
from typing import Any, cast

import pytest

from services.analytics import thresholds
from services.analytics.allowance import Spending, Spot
from services.analytics.thresholds import Thresholds
from shared.kafka.outbox import Outbox
from shared.runtime.tasks import Tasks
from shared.store.redis import Store, StoreUnavailable
from tests.support.fakes import FakeOutbox, StoppedClock

SPOT = Spot("p", "client", (0, 1))


async def test_clock_that_is_set_back_keeps_nobody_from_looking_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Spot] = []

    async def look(_: Thresholds, spot: Spot, subjects: set[str] | None) -> None:
        looks.append(spot)
        if len(looks) == 1:
            raise StoreUnavailable("away")
    monkeypatch.setattr(Thresholds, "_look", look)
    monkeypatch.setattr(thresholds, "_PAUSE_S", 0)
    clock, tasks = StoppedClock(10**12), Tasks()
    made = Thresholds(cast(Store, None), cast(Outbox, FakeOutbox()), clock, tasks, Spending())
    monkeypatch.setattr(made._spending, "touched", lambda _: {SPOT: {"c"}})
    await made.start()
    made.listen(cast(Any, None))
    await asyncio.sleep(0.02)
    assert looks == [SPOT]
    clock.now, clock.set_ms = clock.now + 1_001, -3_600_000
    await asyncio.sleep(0.02)
    await made.stop()
    assert looks == [SPOT, SPOT]
