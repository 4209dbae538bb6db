"""Run some coroutines at the same time, to the end of all or to the first error.

In:    coroutines.
Out:   nothing; the first error as it was raised.
Never: one that still runs when this returns.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any


async def together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Raises the first error itself, not a group: whoever handles errors of steps knows single ones."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as errors:
        raise _first(errors) from None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
