"""What the store did not take is offered again: until it takes it, or its time is over."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.runtime.tasks import Tasks
from shared.store import late
from shared.store.late import Late, Offer
from shared.store.redis import StoreUnavailable
from tests.support.platform import eventually


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
        await offers.offer(Offer(store.told(what), "r", 5_000, "lost"))
    assert store.taken == []
    await eventually(lambda: store.taken == ["a", "b", "c"])
    # the three, two offers of the first one in vain, and the three again
    assert (store.asked, offers._bytes, caplog.text.count("as soon as it listens"), "lost" in caplog.text) == (
        8, 0, 1, False)
    await offers.offer(Offer(store.told("d"), "r", 5_000, "lost"))
    assert store.taken[-1] == "d"


async def test_what_means_nothing_any_more_or_is_too_much_is_said_to_be_lost_once_for_all(
        caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_MOST_BYTES", 5_000)
    store, tasks = Away(10**9), Tasks()
    offers = Late(tasks)
    await offers.offer(Offer(store.told("over"), "r", 0, "was over"))
    await offers.offer(Offer(store.told("brief"), "r", 30, "was brief"))
    await offers.offer(Offer(store.told("long"), "r", 60_000, "was long"))
    for _ in range(3):
        await offers.offer(Offer(store.told("large"), "r", 60_000, "was large", 4_000))
    await eventually(lambda: all(f"was {what}; calls of which the store was not told in time: {count}" in caplog.text
                                 for what, count in (("over", 1), ("large", 3), ("brief", 1))))
    assert (len(offers._offers), offers._bytes, "was long" in caplog.text) == (1, 1_000, False)
    await tasks.stop()


async def test_what_may_have_been_done_is_not_tried_at_once() -> None:
    store, tasks = Away(0), Tasks()
    Late(tasks).later(Offer(store.told("a"), "r", 5_000, "lost"), StoreUnavailable("no answer"))
    await asyncio.sleep(0)
    assert store.asked == 0
    await eventually(lambda: store.taken == ["a"])
    await tasks.stop()
