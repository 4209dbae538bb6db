"""A store of a test's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local.valkey import Valkey
from shared.settings.redis import RedisSettings
from shared.store.redis import Store, StoreUnavailable
from tests.support.platform import eventually, free_ports


async def answers(store: Store) -> bool:
    """Whether it does."""
    try:
        await store.ping()
    except StoreUnavailable:
        return False
    return True


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Store]:
    """A client of a store that runs in a folder, and answers."""
    valkey = Valkey(folder, free_ports(1)[0])
    process = await asyncio.create_subprocess_exec(*valkey.command(), stdout=asyncio.subprocess.DEVNULL)
    made = Store(RedisSettings(url=valkey.url), patient=True)
    await eventually(lambda: answers(made))
    yield made
    await made.stop()
    process.kill()
    await process.wait()
