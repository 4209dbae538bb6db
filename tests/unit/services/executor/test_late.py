"""What the store did not take is offered again: until it takes it, or its time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
import pytest

from services.executor import late
from services.executor.journal import Journals
from services.executor.keeping import Keeping
from services.executor.late import Late
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.runtime.tasks import Tasks
from shared.store.redis import StoreUnavailable
from tests.support.fakes import StoppedClock
from tests.support.platform import eventually
from tests.unit.services.executor.test_run import nowhere

RECORD = ExecutionRecord(request_id="r", project="p", version=1, operation="o", client="c", source="edge",
                         origin=Origin("t", 0, 0), deadline_ms=0, keep_ms=60_000)


class Away:
    """A store that does not answer so many times; `taken`: what it was told then."""

    def __init__(self, times: int) -> None:
        self.times, self.asked = times, 0
        self.taken: list[str] = []

    def told(self, what: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            self.asked += 1
            if self.asked <= self.times:
                raise StoreUnavailable("no answer")
            self.taken.append(what)
        return work


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_REST_S", 0.01)


async def test_all_that_came_too_early_is_taken_in_its_order_once_the_store_listens(
        caplog: pytest.LogCaptureFixture) -> None:
    store, offers = Away(5), Late(Tasks())
    for what in ("a", "b", "c"):
        await offers.offer(store.told(what), RECORD, 5_000, "lost")
    assert store.taken == []
    await eventually(lambda: store.taken == ["a", "b", "c"])
    # the three, two offers of the first one in vain, and the three again
    assert (store.asked, offers._bytes, caplog.text.count("as soon as it listens"), "lost" in caplog.text) == (
        8, 0, 1, False)
    await offers.offer(store.told("d"), RECORD, 5_000, "lost")
    assert store.taken[-1] == "d"


async def test_what_means_nothing_any_more_or_is_too_much_is_said_to_be_lost(
        caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_MOST_BYTES", 5_000)
    store, tasks = Away(10**9), Tasks()
    offers = Late(tasks)
    await offers.offer(store.told("over"), RECORD, 0, "was over")
    await offers.offer(store.told("brief"), RECORD, 30, "was brief")
    await offers.offer(store.told("long"), RECORD, 60_000, "was long")
    await offers.offer(store.told("large"), RECORD, 60_000, "was large", 4_000)
    assert ["was over" in caplog.text, "was large" in caplog.text, "was brief" in caplog.text] == [True, True, False]
    await eventually(lambda: "was brief" in caplog.text)
    assert (len(offers._offers), offers._bytes, "was long" in caplog.text) == (1, 1_000, False)
    await tasks.stop()


async def test_place_and_key_of_a_call_are_free_once_the_store_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    store, done = Away(3), list[Any]()

    async def told(_: Any, *what: Any) -> None:
        await store.told(str(what[0]))()
        done.append(what[:2])
    monkeypatch.setattr("services.executor.keeping.give_back", told)
    monkeypatch.setattr("services.executor.keeping.free", told)
    clock = StoppedClock()
    keeping = Keeping(nowhere(), nowhere(), cast(Any, clock), Journals(nowhere(), Tasks()), Tasks())
    call = msgspec.structs.replace(RECORD, deadline_ms=clock.now + 60_000, holds=("place",),
                                   claim={"key": "k", "digest": "d"})
    await keeping.give_back(call, 200)
    await keeping.free(call)
    assert done == []
    await eventually(lambda: len(done) == 2)
    assert (done[0], done[1][0]) == (("r", ("place",)), "k")
    await asyncio.sleep(0.03)
    assert len(done) == 2
