"""A listing of executions, beside a store that is a list."""

from typing import Any, cast

import pytest

from shared.contracts.execution_result import ExecutionResult, State
from shared.store import results
from shared.store.redis import Store


class Kept:
    """What the two commands of a listing ask for; `begins`: an execution more after each of them."""

    def __init__(self, states: list[State | None], *, begins: bool = False) -> None:
        """Newest first; None: the result is gone, and its id is still listed."""
        self.ids = [f"e{number}" for number in range(len(states), 0, -1)]
        self.states = dict(zip(self.ids, states, strict=True))
        self.begins, self.read = begins, 0

    async def command(self, name: str, *arguments: Any) -> Any:
        if name == "ZREVRANGE":
            assert arguments[0] == "weir:executions:p"
            ids = self.ids[arguments[1]:arguments[2] + 1]
            if self.begins:
                self.ids.insert(0, new := f"e{len(self.ids) + 1}")
                self.states[new] = "running"
            return [one.encode() for one in ids]
        self.read += len(arguments)
        return [self._value(key.removeprefix("weir:execution:p:")) for key in arguments]

    def _value(self, execution: str) -> bytes | None:
        state = self.states[execution]
        return None if state is None else ExecutionResult(
            id=execution, operation="o", client="c", state=state, accepted=1).to_bytes()


async def listed(kept: Kept, count: int, state: State | None = None) -> tuple[list[str], int | None]:
    found = await results.newest(cast("Store", kept), "p", count, state)
    return [one.id for one in found.results], found.looked_at


async def test_all_that_stand_so_are_found_however_far_back() -> None:
    kept = Kept([*["succeeded"] * 999, "failed", *["succeeded"] * 500, "failed", "failed"])  # type: ignore[list-item]
    assert await listed(kept, 2, "failed") == (["e503", "e2"], None)
    assert await listed(kept, 100, "failed") == (["e503", "e2", "e1"], None)
    assert await listed(kept, 100, "waiting") == ([], None)


async def test_results_that_are_gone_take_no_place() -> None:
    kept = Kept(["running", None, None, "failed", "running"])
    assert await listed(kept, 2) == (["e5", "e2"], None)
    assert await listed(Kept([]), 2) == ([], None)


async def test_listing_without_a_state_reads_what_it_shows() -> None:
    kept = Kept(["running"] * 500)
    assert len((await listed(kept, 100))[0]) == kept.read == 100


async def test_execution_that_begins_meanwhile_makes_none_come_twice() -> None:
    ids, _ = await listed(Kept(["failed"] * 1_000, begins=True), 1_000, "failed")
    assert ids == [f"e{number}" for number in range(1_000, 0, -1)]


async def test_listing_ends_and_says_how_far_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_FARTHEST", 400)
    kept = Kept([*["succeeded"] * 300, "failed", *["succeeded"] * 200, "failed"])  # type: ignore[list-item]
    assert await listed(kept, 2, "failed") == (["e202"], 400)
    assert await listed(kept, 1, "failed") == (["e202"], None)
