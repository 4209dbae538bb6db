"""Clients that begin while a broker hangs."""

import asyncio
from typing import Any, cast

import pytest

from shared.kafka import connect


class Client:
    """One whose first broker takes the connection and says nothing."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.hangs, self.stopped = type(self).made == 1, False

    async def start(self) -> None:
        """Begins, or waits for ever."""
        if self.hangs:
            await asyncio.Event().wait()

    async def stop(self) -> None:
        """It is given up."""
        self.stopped = True


async def test_client_that_waits_for_a_broker_which_hangs_is_given_up_for_another_one(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_START_S", 0.01)
    monkeypatch.setattr(connect, "_START_PAUSE_S", 0.01)
    made: list[Client] = []

    def make() -> Any:
        made.append(Client())
        return made[-1]
    found = cast(Client, await asyncio.wait_for(connect.started(make, "connecting"), 5))
    assert found is made[1]
    assert [client.stopped for client in made] == [True, False]


async def test_client_whose_start_is_given_up_is_stopped() -> None:
    client = Client()
    client.hangs = True
    starting = asyncio.ensure_future(connect.started(lambda: cast(Any, client), "connecting"))
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting], timeout=5)
    assert starting.cancelled()
    # else it is told as lost, after what has ended the process
    assert client.stopped
