"""Projects take turns where there are fewer places than all of them want."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from services.executor.turns import Turns


async def test_project_does_not_wait_behind_all_that_another_one_has_in_line() -> None:
    turns, done = Turns(1), list[str]()

    async def work(name: str) -> None:
        async with turns.of(name):
            await asyncio.sleep(0)
            done.append(name)
    await asyncio.gather(*(work("greedy") for _ in range(9)), work("modest"), work("quiet"))
    assert done[1:4] == ["greedy", "modest", "quiet"]
    assert done.count("greedy") == 9


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3), st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20))
def test_place_is_held_once_and_none_is_lost_whoever_gives_up(places: int, wanted: list[tuple[str, bool]]) -> None:
    async def run() -> None:
        turns, held, most = Turns(places), 0, 0

        async def work(name: str) -> None:
            nonlocal held, most
            async with turns.of(name):
                held += 1
                most = max(most, held)
                try:
                    await asyncio.sleep(0.0001)
                finally:
                    held -= 1
        tasks = [(asyncio.create_task(work(name)), given_up) for name, given_up in wanted]
        await asyncio.sleep(0)
        for task, given_up in tasks:
            if given_up:
                task.cancel()
        found = await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in found] == [given_up for _, given_up in wanted]
        assert most <= places
        # all are free again
        async with asyncio.timeout(5):
            await asyncio.gather(*(work("later") for _ in range(2 * places)))
    asyncio.run(run())
