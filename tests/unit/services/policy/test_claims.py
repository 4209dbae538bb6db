"""Idempotency keys where the store takes what it is told and does not say so in time."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from services.policy.claims import Claims
from services.policy.hearing import Hearing
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.traceparent import TraceContext
from shared.decision.decide import Decision, look
from shared.kafka.record import Record
from shared.names.reasons import Reason
from shared.runtime.tasks import Tasks
from shared.store import late
from shared.store.connection import Argument
from shared.store.redis import StoreUnavailable
from tests.support.calls import book, case
from tests.unit.services.policy.test_rulings import Holding


class Late(Holding):
    """Does what it is told; while it is `late` nobody hears of it, and while it is `gone` it does nothing."""

    late = gone = False

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        found = None if self.gone else await super().run(script, keys, arguments)
        if self.late or self.gone:
            raise StoreUnavailable(script)
        return found


def hearing(request_id: str, key: str | None = "k") -> Hearing:
    found = case(book([]), key=key, request_id=request_id)
    assert look(found) is None
    record: Record = None  # type: ignore[assignment]  # nobody looks at it here
    return Hearing(case=found, record=record, request_id=request_id, trace=TraceContext.new(sampled=False),
                   started_us=0, timing={}, source="edge", span=None, deciding=None)


class Asking:
    """Claims over a store that can be late."""

    def __init__(self) -> None:
        self.store, self.tasks = Late(), Tasks()
        self._claims = Claims(self.store, self.tasks)

    async def take(self, heard: Hearing) -> Reason | None:
        found, = await self._claims.take([heard])
        assert not isinstance(found, KeptAnswer)
        return None if found is None else found.reason

    async def take_all(self, *heard: Hearing) -> list[Decision | KeptAnswer | None]:
        return await self._claims.take(heard)

    async def give_up(self, heard: Hearing) -> None:
        await self._claims.give_up(heard)

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(*self.tasks._running)


@pytest.fixture
async def asking(monkeypatch: pytest.MonkeyPatch) -> Asking:
    monkeypatch.setattr(late, "_REST_S", 0)
    return Asking()


async def test_while_the_store_is_away_only_calls_with_a_key_are_refused_and_told_when_to_try_again(
        asking: Asking, caplog: pytest.LogCaptureFixture) -> None:
    asking.store.gone = True
    assert await asking.take(hearing("before")) is Reason.UNAVAILABLE
    without, having = await asking.take_all(hearing("first", key=None), hearing("second"))
    assert caplog.text.count("calls with an idempotency key are refused") == 1
    assert without is None
    assert isinstance(having, Decision)
    assert having.refusal is not None
    assert (having.refusal.status, having.refusal.headers) == (503, {"Retry-After": "2"})
    asking.store.gone = False
    await asking.settled()


async def test_key_that_was_claimed_too_late_for_its_call_is_free_for_whoever_tries_again(asking: Asking) -> None:
    asking.store.late = True
    assert await asking.take(hearing("first")) is Reason.UNAVAILABLE
    asking.store.late, asking.store.gone = False, True
    for _ in range(10):
        await asyncio.sleep(0)
    assert asking.store.kept, "the store is still away"
    asking.store.gone = False
    await asking.settled()
    assert await asking.take(hearing("second")) is None


async def test_call_that_comes_again_and_runs_keeps_its_key_though_its_first_claim_came_too_late(
        asking: Asking) -> None:
    asking.store.late = True
    assert await asking.take(hearing("first")) is Reason.UNAVAILABLE
    asking.store.late = False
    assert await asking.take(hearing("first")) is None, "delivered again"
    await asking.settled()
    assert await asking.take(hearing("second")) is Reason.IDEMPOTENCY_RUNNING


async def test_call_that_runs_keeps_its_key_though_it_comes_again_and_the_store_is_late(asking: Asking) -> None:
    assert await asking.take(hearing("first")) is None
    asking.store.late = True
    assert await asking.take(hearing("first")) is Reason.UNAVAILABLE
    asking.store.late = False
    await asking.settled()
    assert await asking.take(hearing("second")) is Reason.IDEMPOTENCY_RUNNING


async def test_key_of_a_refused_call_is_free_once_the_store_is_there_again(asking: Asking) -> None:
    refused = hearing("first")
    assert await asking.take(refused) is None
    asking.store.gone = True
    await asking.give_up(refused)
    asking.store.gone = False
    await asking.settled()
    assert await asking.take(hearing("second")) is None
