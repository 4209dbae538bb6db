"""A sink says how far it is behind."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.sinks import wire
from services.sinks.settings import SinkSettings
from shared.kafka.watchdog import Watchdog
from shared.names import topics
from shared.settings.service import ServiceSettings


@pytest.mark.parametrize("kind", ["webhook", "parquet"])
async def test_lag_of_each_kind_of_sink_is_told(kind: Any, tmp_path: Path) -> None:
    settings = SinkSettings(kind=kind, name="lake", folder=tmp_path, url="http://127.0.0.1:9/",
                            secret=SecretStr("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="))
    service = await wire.build(ServiceSettings(), settings)
    dog = service.parts[-1]
    assert isinstance(dog, Watchdog)
    assert [(one.name, one.topics) for one in dog._watched] == [("weir-sink-lake", (topics.USAGE,))]
