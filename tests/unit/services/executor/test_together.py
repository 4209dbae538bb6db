"""Coroutines at the same time: how they end, and that whoever waits for them goes on unharmed."""

import asyncio

import pytest

from services.executor.scene import Parked
from services.executor.together import together


class Work:
    """Coroutines that tell how they ended."""

    def __init__(self, letting_go_s: float = 0.01) -> None:
        self.ended: list[str] = []
        self._letting_go_s = letting_go_s

    async def waits(self, name: str) -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            # it takes a moment to let go
            await asyncio.sleep(self._letting_go_s)
            self.ended.append(name)
            raise

    async def fails(self, error: Exception, after_s: float = 0) -> None:
        await asyncio.sleep(after_s)
        raise error


async def test_first_error_is_raised_itself_and_nothing_runs_on() -> None:
    work = Work()
    with pytest.raises(ValueError, match="first"):
        await together([work.waits("a"), work.fails(KeyError("later"), 0.005), work.fails(ValueError("first"))])
    assert work.ended == ["a"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_of_errors_in_one_turn_the_one_that_was_raised_first_counts() -> None:
    work = Work()
    for errors in ([ValueError("a"), KeyError("b")], [KeyError("b"), ValueError("a")]):
        with pytest.raises(type(errors[0])):
            await together([work.fails(error) for error in errors])


async def test_whoever_is_cancelled_is_so_once_all_have_let_go() -> None:
    work = Work()
    task = asyncio.ensure_future(together([work.waits("a"), work.waits("b")]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended == ["a", "b"]


async def test_end_of_time_while_a_failed_one_lets_the_others_go_is_the_end_of_time() -> None:
    work, limit = Work(letting_go_s=60), asyncio.timeout(None)

    async def fails() -> None:
        # not before: the time would be over for the one that waits
        limit.reschedule(asyncio.get_running_loop().time() + 0.05)
        raise ValueError
    with pytest.raises(TimeoutError):
        async with limit:
            await together([work.waits("a"), fails()])
    assert work.ended == []


async def test_one_whose_wait_was_cancelled_does_not_pass_for_done() -> None:
    waited_for = asyncio.get_running_loop().create_future()

    async def waits() -> None:
        await waited_for
    asyncio.get_running_loop().call_soon(waited_for.cancel)
    with pytest.raises(asyncio.CancelledError):
        await together([waits(), asyncio.sleep(0.01)])


async def test_nearest_time_that_one_is_parked_until_is_told_once_the_others_have_ended() -> None:
    work, ended = Work(), []

    async def ends() -> None:
        await asyncio.sleep(0.01)
        ended.append(True)
    with pytest.raises(Parked) as parked:
        await together([work.fails(Parked(7)), ends(), work.fails(Parked(5))])
    assert (parked.value.until_ms, ended) == (5, [True])
    with pytest.raises(ValueError, match="no"):
        await together([work.fails(Parked(7)), work.fails(ValueError("no"))])
