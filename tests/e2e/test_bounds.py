"""An ingress of its own with small bounds: overload, a stopping instance, a broker that does not answer."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.support.edges import Edge, edge
from tests.support.platform import PROJECT, Platform, eventually

BOUND = 3


@pytest.fixture
async def small(platform: Platform, http: ClientSession, tmp_path: Path) -> AsyncIterator[Edge]:
    """An ingress beside the cluster's own that lets three requests in at once."""
    async with edge(platform, http, tmp_path, WEIR_INGRESS_MAX_IN_FLIGHT=str(BOUND)) as made:
        yield made


async def ask(http: ClientSession, small: Edge, path: str) -> tuple[int, str, float]:
    """Status, code, seconds."""
    began = time.monotonic()
    async with http.get(f"{small.url}/{PROJECT}{path}", headers=small.headers) as answer:
        body = await answer.json(content_type=None)
        return answer.status, body.get("code", "") if answer.status >= 400 else "", time.monotonic() - began


async def test_request_past_the_bound_is_refused_fast_and_the_others_go_on(http: ClientSession, small: Edge) -> None:
    asking = asyncio.gather(*(ask(http, small, "/reports/yearly") for _ in range(BOUND + 7)))
    await asyncio.sleep(0.5)
    async with http.get(small.health + "/metrics") as answer:
        told = (await answer.text()).splitlines()
    assert {f"weir_in_flight {BOUND}.0", f'weir_bound_used{{bound="calls"}} {BOUND}.0',
            f'weir_bound_limit{{bound="calls"}} {BOUND}.0'} <= set(told)
    found = await asking
    assert sorted(code for _, code, _ in found) == ["overloaded"] * 7 + ["timeout"] * BOUND
    assert max(seconds for _, code, seconds in found if code == "overloaded") < 0.5
    assert (await ask(http, small, "/employees/e-100"))[0] == 200


async def test_stopping_instance_answers_what_is_under_way_and_ends_well(http: ClientSession, small: Edge) -> None:
    under_way = asyncio.create_task(ask(http, small, "/reports/yearly"))
    await asyncio.sleep(0.3)
    small.process.send_signal(signal.SIGTERM)
    assert (await under_way)[1] == "timeout"
    assert await asyncio.to_thread(small.process.wait, 10) == 0


async def test_broker_that_does_not_answer_means_a_fast_503_and_recovers_by_itself(
        platform: Platform, http: ClientSession, small: Edge) -> None:
    broker = platform.processes()["kafka"].pid
    os.kill(broker, signal.SIGSTOP)
    # its threads stop one by one: a record that came at once could still be acknowledged
    await asyncio.sleep(0.3)
    try:
        first = asyncio.create_task(ask(http, small, "/employees/e-100"))
        await asyncio.sleep(2.5)
        status, code, seconds = await ask(http, small, "/employees/e-101")
        assert (status, code) == (503, "unavailable")
        assert seconds < 0.5
    finally:
        os.kill(broker, signal.SIGCONT)
    assert (await first)[0] in (200, 504)

    async def well() -> bool:
        return (await ask(http, small, "/employees/e-101"))[0] == 200

    await eventually(well, within_s=10)
    await eventually(platform.is_green, within_s=15)
