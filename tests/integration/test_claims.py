"""Idempotency keys in the real store, and without a store."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from services.policy.claims import Claims
from services.policy.hearing import Hearing
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.reply import ReplyRecord
from shared.contracts.traceparent import TraceContext
from shared.decision.decide import Decision, look
from shared.names.reasons import Reason
from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store.connection import Argument
from shared.store.idempotency import free, keep
from shared.store.redis import Store, StoreUnavailable
from tests.support.calls import book, case
from tests.support.fakes import FakeRecord
from tests.support.platform import Platform


@pytest.fixture
async def store(platform: Platform) -> AsyncIterator[Store]:
    found = Store(RedisSettings(url=platform.redis_url), patient=True)
    yield found
    await found.stop()


def hearing(request_id: str, key: str | None, body: bytes = b"", *, source: str = "edge", offset: int = 0) -> Hearing:
    found = case(book([]), key=key, request_id=request_id, body=body)
    assert look(found) is None
    return Hearing(case=found, record=FakeRecord(offset=offset), request_id=request_id,
                   trace=TraceContext.new(sampled=False), started_us=0, timing={}, source=source, span=None,
                   deciding=None)


def told(found: Decision | KeptAnswer | None) -> object:
    return found.reason if isinstance(found, Decision) else found.status if isinstance(found, KeptAnswer) else None


async def test_first_of_a_poll_runs_and_its_answer_is_given_again(store: Store, name: str) -> None:
    claims = Claims(store, Tasks())
    first = hearing("a", name)
    poll = [first, hearing("b", name), hearing("c", name, b"else"), hearing("d", None), hearing("e", name + "2")]
    assert [told(one) for one in await claims.take(poll)] == [
        None, Reason.IDEMPOTENCY_RUNNING, Reason.IDEMPOTENCY_MISMATCH, None, None]
    assert [told(one) for one in await claims.take([first])] == [None], "delivered again, it still runs"
    assert first.case.claim is not None
    await keep(store, first.case.claim.key, KeptAnswer.of(ReplyRecord(request_id="a", status=201),
                                                          first.case.claim.digest), 60_000)
    assert [told(one) for one in await claims.take([hearing("b", name), first])] == [201, 201]


async def test_record_that_a_publisher_writes_twice_runs_once_whatever_its_id(store: Store, name: str) -> None:
    claims = Claims(store, Tasks())
    first, again = (hearing("a", name, source="internal", offset=offset) for offset in range(2))
    assert [told(one) for one in await claims.take([first, again])] == [None, Reason.IDEMPOTENCY_RUNNING]
    assert [told(one) for one in await claims.take([first])] == [None], "delivered again, it still runs"
    await claims.give_up(again)
    assert [told(one) for one in await claims.take([again])] == [Reason.IDEMPOTENCY_RUNNING]


async def test_key_of_a_refused_call_is_free_for_the_next_and_stays_with_whoever_has_it_by_then(
        store: Store, name: str) -> None:
    claims, first, second = Claims(store, Tasks()), hearing("a", name), hearing("b", name)
    await claims.take([first])
    await claims.give_up(first)
    assert [told(one) for one in await claims.take([second])] == [None]
    await claims.give_up(first)
    assert [told(one) for one in await claims.take([hearing("c", name)])] == [Reason.IDEMPOTENCY_RUNNING]


async def test_key_is_freed_by_the_call_that_has_it_and_only_while_no_answer_is_kept(store: Store, name: str) -> None:
    claims, first = Claims(store, Tasks()), hearing("a", name)
    await claims.take([first])
    made = first.case.claim
    assert made is not None
    await free(store, made.key, KeptAnswer.claimed("b", made.digest))
    assert [told(one) for one in await claims.take([hearing("c", name)])] == [Reason.IDEMPOTENCY_RUNNING]
    await free(store, made.key, KeptAnswer.claimed("a", made.digest))
    assert [told(one) for one in await claims.take([first])] == [None]
    await claims.keep(made, ReplyRecord(request_id="a", status=201))
    await free(store, made.key, KeptAnswer.claimed("a", made.digest))
    assert [told(one) for one in await claims.take([hearing("c", name)])] == [201]


class Late(Store):
    """Takes what it is told, and says so too late."""

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        await super().run(script, keys, arguments)
        raise StoreUnavailable(script)


@pytest.mark.parametrize("comes_again", [False, True], ids=["refused", "delivered again"])
async def test_key_that_the_store_has_claimed_too_late_is_free_unless_the_call_runs_since(
        platform: Platform, store: Store, name: str, comes_again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.store.late._REST_S", 0.2)
    late = Late(RedisSettings(url=platform.redis_url), patient=True)
    claims, first = Claims(late, Tasks()), hearing("a", name)
    assert [told(one) for one in await claims.take([first])] == [Reason.UNAVAILABLE]
    monkeypatch.setattr(Late, "run", Store.run)
    if comes_again:
        assert [told(one) for one in await claims.take([first])] == [None]
    await asyncio.sleep(0.5)
    assert [told(one) for one in await Claims(store, Tasks()).take([hearing("b", name)])] == [
        Reason.IDEMPOTENCY_RUNNING if comes_again else None]
    await late.stop()


async def test_without_a_store_only_calls_with_a_key_are_refused(name: str) -> None:
    away = Store(RedisSettings(url="redis://127.0.0.1:9/0"))
    found = await Claims(away, Tasks()).take([hearing("a", name), hearing("b", None)])
    assert [told(one) for one in found] == [Reason.UNAVAILABLE, None]
    await away.stop()
