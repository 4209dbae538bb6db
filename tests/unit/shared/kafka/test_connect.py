"""Clients that begin while a broker hangs."""

import asyncio
import logging
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError

from shared.kafka import connect
from shared.kafka.faults import translate
from shared.settings.kafka import KafkaSettings
from shared.settings.wrong import WrongSetting


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


def test_why_no_broker_could_be_reached_is_said_as_the_client_says_it_in_its_log() -> None:
    for why in ("certificate has expired", "SaslAuthenticationFailed"):
        logging.getLogger("aiokafka").error('Unable connect to "%s:%s": %s', "a", 9092, OSError(why))
        logging.getLogger("aiokafka").error("Unable to update metadata from %s", [1])
        told = str(translate(KafkaConnectionError("Unable to bootstrap from [('a', 9092)]"), "connecting to a:9092"))
        assert told.startswith(f"connecting to a:9092: the broker does not answer (KafkaConnectionError: {why}); is it")
    assert "Sasl" not in str(translate(KafkaConnectionError("Connection at a:9092 closed"), "connecting"))


@pytest.mark.parametrize("name", ["ca", "cert"])
def test_certificate_that_is_none_is_told_by_its_setting(name: str) -> None:
    settings = KafkaSettings(**cast(Any, {f"ssl_{name}_file": __file__}))
    with pytest.raises(WrongSetting, match=f"WEIR_KAFKA_SSL_{name.upper()}_FILE: .*{__name__.rpartition('.')[2]}"):
        connect.tls(settings)
