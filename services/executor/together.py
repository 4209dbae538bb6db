"""Run some coroutines at the same time, to the end of all or to the first error.

In:    coroutines.
Out:   nothing; the first error as it was raised; `Parked` once all that does not wait has ended.
Never: one that still runs when this returns.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from services.executor.scene import Parked


async def together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Raises the first error itself, not a group: whoever handles errors of steps knows single ones."""
    parked: list[Parked] = []
    failed: list[Exception] = []

    async def finished(one: Coroutine[Any, Any, None]) -> None:
        try:
            await one
        except Parked as until:
            parked.append(until)
        except Exception as error:
            failed.append(error)
            raise
    # no TaskGroup: it cancels its parent when a child fails and never takes that back, and each later timeout of the
    # parent, which may well go on, would then end as a cancellation
    tasks = [asyncio.ensure_future(finished(one)) for one in work]
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failed:
        raise failed[0]
    if any(task.cancelled() for task in tasks):
        # all had come to their end: what one waited for was cancelled, and what it was to give is missing
        raise asyncio.CancelledError
    if parked:
        raise min(parked, key=lambda one: one.until_ms)
