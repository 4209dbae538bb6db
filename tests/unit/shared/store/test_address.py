"""Opening a connection to a store that may not be there."""

import asyncio

import pytest

from shared.settings.redis import RedisSettings
from shared.store.redis import Store, StoreUnavailable


async def test_store_that_takes_connections_and_says_nothing_is_told_of() -> None:
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as mute:
        url = f"redis://127.0.0.1:{mute.sockets[0].getsockname()[1]}/0"
        store = Store(RedisSettings(url=url, patient_timeout_ms=500), patient=True)
        with pytest.raises(StoreUnavailable, match=r"PING: TimeoutError: no connection within 0\.5 s"):
            await store.ping()
        await gone.wait()
