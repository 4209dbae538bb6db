"""A cluster past one machine: three brokers, a store that Sentinels watch."""

from collections.abc import Iterator

import pytest

from tests.support import platform as platforms
from tests.support.platform import Platform
from tests.support.sentinels import NAME, Sentinels, sentinels
from tests.support.three_brokers import Brokers, three_brokers


@pytest.fixture(scope="package")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    with three_brokers(tmp_path_factory.mktemp("brokers")) as running:
        yield running


@pytest.fixture(scope="package")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with sentinels(tmp_path_factory.mktemp("stores")) as running:
        yield running


@pytest.fixture(scope="package")
def spread(brokers: Brokers, stores: Sentinels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The cluster on them, told of the Sentinels alone; started once, for that takes longer than its tests."""
    places = ", ".join(f'"127.0.0.1:{port}"' for port in stores.sentinels)
    running = platforms.start(tmp_path_factory.mktemp("spread"), env={
        "WEIR_KAFKA_BOOTSTRAP": brokers.bootstrap, "WEIR_KAFKA_REPLICATION": "3",
        "WEIR_REDIS_URL": "redis://nowhere.invalid:1/0", "WEIR_REDIS_SENTINELS": f"[{places}]",
        "WEIR_REDIS_PRIMARY": NAME})
    yield running
    platforms.stop(running)
