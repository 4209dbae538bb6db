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

    async def finished(one: Coroutine[Any, Any, None]) -> None:
        try:
            await one
        except Parked as until:
            parked.append(until)
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(finished(one))
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    if parked:
        raise min(parked, key=lambda one: one.until_ms)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
