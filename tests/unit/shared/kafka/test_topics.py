"""Making the topics is a process of its own in a deployment."""

from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import Unavailable
from shared.kafka import connect, topics
from shared.kafka.faults import SendFailed
from shared.names.topics import TOPICS
from shared.settings.kafka import KafkaSettings


def test_wrong_setting_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WEIR_KAFKA_REPLICATION", "0")
    assert (topics.main(), capsys.readouterr().err) == (1, "topics: WEIR_KAFKA_REPLICATION: has to be greater than 0\n")


def test_broker_that_is_away_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def away(_: object) -> None:
        raise Unavailable("the broker does not answer")
    monkeypatch.setattr(topics, "ensure_topics", away)
    assert (topics.main(), capsys.readouterr().err) == (1, "topics: the broker does not answer\n")


class Lonely:
    """A broker that is alone, and has no topics."""

    async def start(self) -> None:
        """Connected."""

    async def describe_topics(self, _: Any) -> list[dict[str, Any]]:
        return []

    async def create_topics(self, _: Any) -> Any:
        return SimpleNamespace(topic_errors=[("weir.config", 38, "Unable to replicate the partition 3 time(s)")])

    async def close(self) -> None:
        """Gone."""


async def test_more_copies_than_brokers_name_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "admin", lambda _: Lonely())
    with pytest.raises(SendFailed, match=r"weir\.config could not be made: .*WEIR_KAFKA_REPLICATION is 3"):
        await topics.ensure_topics(KafkaSettings(replication=3), TOPICS)
