"""When tokens were used last is written down now and then, however many calls use them, and lost by no failure."""

from collections.abc import Sequence
from typing import Any

import pytest

from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store import last_used as module
from shared.store.connection import Argument
from shared.store.last_used import LastUsed, forget, last_used
from shared.store.redis import Store, StoreUnavailable


class Counting(Store):
    """Remembers the one hash, and every round trip."""

    def __init__(self) -> None:
        super().__init__(RedisSettings())
        self.trips: list[Sequence[Sequence[Argument]]] = []
        self.used: dict[Argument, Argument] = {}
        self.away = False

    async def _ask(self, what: str, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        self.trips.append(commands)
        if self.away:
            raise StoreUnavailable(what)
        [(_, _, *parts)] = commands
        if what == "HDEL":
            return [sum(self.used.pop(token, None) is not None for token in parts)]
        if what == "HMGET":
            return [[self.used.get(token) for token in parts]]
        self.used.update(zip(parts[::2], parts[1::2], strict=True))
        return [len(parts) // 2]


@pytest.fixture
def store() -> Counting:
    return Counting()


async def test_many_uses_are_one_write(store: Counting) -> None:
    noting = LastUsed(store, Tasks())
    for number in range(10_000):
        noting.note(f"t{number % 50}", number)
    assert store.trips == []
    await noting.stop()
    assert (len(store.trips), len(store.used), store.used["t49"]) == (1, 50, 9_999)


async def test_nothing_is_written_while_nobody_calls(store: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVERY_S", 0)
    tasks = Tasks()
    noting = LastUsed(store, tasks)
    await noting.start()
    await noting.stop()
    assert store.trips == []


async def test_what_could_not_be_written_is_written_later_and_the_last_use_counts(store: Counting) -> None:
    noting = LastUsed(store, Tasks())
    noting.note("a", 1)
    noting.note("b", 1)
    store.away = True
    await noting.stop()
    assert await last_used(store, ["a"]) == {}
    noting.note("a", 2)
    store.away = False
    await noting.stop()
    assert await last_used(store, ["a", "b", "never"]) == {"a": 2, "b": 1}
    trips = len(store.trips)
    assert await last_used(store, []) == {}
    assert len(store.trips) == trips


async def test_tokens_that_are_kept_no_longer_leave_nothing_in_the_store(store: Counting) -> None:
    store.used = {"a": 1, "b": 1, "c": 1}
    await forget(store, [])
    assert store.trips == []
    await forget(store, ["a", "b", "never"])
    assert (store.used, len(store.trips)) == ({"c": 1}, 1)
    store.away = True
    await forget(store, ["c"])
