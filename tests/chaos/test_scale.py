"""The cluster grows and shrinks under load: shares move, and what was sent, what was counted and what the topic says
stay the same number."""

import asyncio
import re
import time
import urllib.request
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from tests.chaos.test_counting import Load
from tests.chaos.test_counting import load as load
from tests.support.platform import Platform, eventually

FORMER, OTHER = "policy=3,executor=1,ingress=1,analytics=2", "policy=2,executor=2,ingress=2,analytics=1"
# a static member that is gone leaves its partitions to others when its session is over
MOVED_S = 20.0


@pytest.fixture
async def sized(platform: Platform) -> AsyncIterator[Platform]:
    """The cluster, which has its former size afterwards."""
    yield platform
    await asyncio.to_thread(platform.weir, "scale", FORMER)
    await eventually(platform.is_green, within_s=60)


def counted(platform: Platform, process: str, metric: str) -> float:
    """Sum of a counter of one process."""
    with urllib.request.urlopen(platform.processes()[process].ready_url.replace("ready", "metrics"), timeout=5) as page:
        return sum(map(float, re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", page.read().decode(), re.MULTILINE)))


async def at_work(load: Load, process: str, metric: str) -> None:
    """Return once a process has done something."""
    async def works() -> float:
        # callers stay with the process that has their connection; new ones go to either
        async with ClientSession() as http, http.get(f"{load.platform.ingress}/{load.project}/ask"):
            return await asyncio.to_thread(counted, load.platform, process, metric)
    await eventually(works, within_s=MOVED_S)


async def test_services_grow_and_shrink_and_nothing_is_lost(sized: Platform, load: Load) -> None:
    await asyncio.sleep(1)
    began = time.monotonic()
    await asyncio.to_thread(sized.weir, "scale", OTHER)
    assert {"executor-1", "ingress-1"} <= set(sized.processes())
    assert not {"policy-2", "analytics-1"} & set(sized.processes())
    await at_work(load, "executor-1", "weir_requests_total")
    await at_work(load, "ingress-1", "weir_answers_total")
    print(f"\nanother size, and all at work, after {time.monotonic() - began:.1f} s", end="")
    began = time.monotonic()
    await asyncio.to_thread(sized.weir, "scale", FORMER)
    assert not {"executor-1", "ingress-1"} & set(sized.processes())
    await at_work(load, "policy-2", "weir_hop_seconds_count")
    await at_work(load, "analytics-1", "weir_usage_counted_total")
    print(f"; the former one after {time.monotonic() - began:.1f} s", end="")
    load.sent.over = True
    await eventually(lambda: asyncio.to_thread(load.settled), within_s=60, every_s=0.5)
    await asyncio.to_thread(load.check)


async def test_sizes_that_cannot_be_are_refused_and_change_nothing(platform: Platform) -> None:
    before = {name: process.pid for name, process in platform.processes().items()}
    for wrong in ("policy", "policy=0", "control=2", "ingress=99"):
        refused = platform.weir("scale", wrong, check=False)
        assert refused.returncode != 0
        assert "--scale" in refused.stderr
    platform.weir("scale", "policy=3")
    assert {name: process.pid for name, process in platform.processes().items()} == before
