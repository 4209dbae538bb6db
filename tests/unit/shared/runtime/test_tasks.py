"""Background tasks: which ends are told."""

import asyncio

import pytest

from shared.runtime.tasks import Tasks


async def test_task_that_nobody_ended_and_yet_was_cancelled_is_told(caplog: pytest.LogCaptureFixture) -> None:
    tasks, waited_for = Tasks(), asyncio.get_running_loop().create_future()

    async def waits() -> None:
        await waited_for
    stray, ended = tasks.spawn(waits(), "stray"), tasks.spawn(asyncio.sleep(10), "ended")
    await asyncio.sleep(0)
    waited_for.cancel()
    await asyncio.wait([stray])
    await tasks.stop()
    assert ended.cancelled()
    assert "background task stray was cancelled, and nobody asked for that" in caplog.text
    assert "ended" not in caplog.text
    assert tasks.stopping
