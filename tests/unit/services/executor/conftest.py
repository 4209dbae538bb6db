"""What all tests of the executor have in common."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.store.late import LATE


@pytest.fixture(autouse=True)
async def _nothing_comes_late() -> AsyncIterator[None]:
    """What one test had for a store that is away is not offered to what stands for the store in the next one."""
    yield
    for task in asyncio.all_tasks():
        if task.get_name() == LATE:
            task.cancel()
