"""Making the topics is a process of its own in a deployment."""

import pytest

from shared.errors import Unavailable
from shared.kafka import topics


def test_wrong_setting_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WEIR_KAFKA_REPLICATION", "0")
    assert (topics.main(), capsys.readouterr().err) == (1, "topics: WEIR_KAFKA_REPLICATION: has to be greater than 0\n")


def test_broker_that_is_away_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def away(_: object) -> None:
        raise Unavailable("the broker does not answer")
    monkeypatch.setattr(topics, "ensure_topics", away)
    assert (topics.main(), capsys.readouterr().err) == (1, "topics: the broker does not answer\n")
