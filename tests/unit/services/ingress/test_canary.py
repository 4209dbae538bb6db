"""Readiness costs one request, however many ask for it."""

import asyncio
from typing import Any

import pytest

from services.ingress.canary import Canary
from shared.contracts.reply import ReplyRecord
from shared.errors import TimedOut
from tests.support.fakes import StoppedClock


@pytest.mark.parametrize("error", [None, TimedOut("no answer within 2000 ms")])
async def test_many_who_ask_at_once_hear_of_one_request(error: TimedOut | None) -> None:
    asked = list[Any]()

    class Cluster:
        async def ask(self, *what: Any) -> ReplyRecord:
            asked.append(what)
            await asyncio.sleep(0.01)
            if error is not None:
                raise error
            return ReplyRecord(request_id="r", status=200)
    cluster: Any = Cluster()
    clock = StoppedClock()
    canary = Canary(cluster, clock)
    told = await asyncio.gather(*[canary() for _ in range(50)])
    assert len(asked) == 1
    assert set(told) == {None if error is None else f"no request goes through policy and executor: {error}"}
    # somebody has set the clock meanwhile
    clock.set_ms = -3_600_000
    clock.now += 1_001
    await canary()
    assert len(asked) == 2, "what was so a second ago need not be so now"
