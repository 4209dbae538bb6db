"""Fixtures of all tests: one cluster per session, names of its own per test."""

import gc
import os
import uuid
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from aiohttp import ClientSession
from hypothesis import settings

from shared.kafka.outbox import Outbox
from shared.settings.kafka import KafkaSettings
from tests.support import platform as platforms
from tests.support.platform import Platform

# machines differ and tests share theirs: how long one example takes is no promise of ours
settings.register_profile("weir", deadline=None)
settings.load_profile("weir")
# brokers of tests do not live long enough for the better of Java's two compilers to pay: it takes half of their time
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded until all tests are known stays to the end: nobody looks through it for garbage, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running cluster with the example loaded; what policy and analytics promise holds over several instances."""
    running = platforms.start(tmp_path_factory.mktemp("weir"), "--scale", "policy=3,analytics=2",
                              env={"WEIR_ACCESS_LOG_RATIO": "1", "WEIR_POLICY_KEY_SETS_REST_S": "1",
                                   "WEIR_POLICY_KEY_SETS_EVERY_S": "6"})
    yield running
    platforms.stop(running)


@pytest.fixture(scope="session")
def kafka(platform: Platform) -> KafkaSettings:
    """Settings for clients of the cluster's broker."""
    return KafkaSettings(bootstrap=platform.bootstrap)


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[ClientSession]:
    """A client for the cluster's HTTP faces."""
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def outbox(kafka: KafkaSettings) -> AsyncIterator[Outbox]:
    """A started outbox."""
    sender = Outbox(kafka)
    await sender.start()
    yield sender
    await sender.stop()
