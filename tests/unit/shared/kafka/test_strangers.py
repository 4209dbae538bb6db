"""Topics that callers name: those that are not there, and how many are remembered."""

import asyncio
from typing import Any

import pytest

from shared.kafka import strangers
from shared.kafka.faults import NotAuthorized, UnknownTopic
from shared.kafka.strangers import Strangers


class Cluster:
    """A broker's topics as a client knows them after each of its looks at those that it has in mind."""

    def __init__(self, **there: int) -> None:
        self.there, self.away = there, 0
        self._topics: set[str] = set()
        self.known: dict[str, int] = {}
        self.looks = 0
        self.unauthorized_topics: set[str] = set()
        self.cluster = self

    def add_topic(self, topic: str) -> None:
        self._topics.add(topic)

    async def force_metadata_update(self) -> bool:
        self.looks += 1
        if self.looks <= self.away:
            return False
        self.known = {topic: self.there[topic] for topic in self._topics if topic in self.there}
        return True

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.known[topic])) if topic in self.known else None


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_PATIENCE_S", 0.05), ("_PAUSE_S", 0.005), ("_REST_S", 0.05)):
        monkeypatch.setattr(strangers, name, seconds)


async def test_topic_that_is_not_there_is_waited_for_once_and_found_when_somebody_has_made_it(
        monkeypatch: pytest.MonkeyPatch) -> None:
    client, known = Cluster(), Strangers()
    with pytest.raises(UnknownTopic):
        await known.partitions(client, "replies.a")
    looks = client.looks
    monkeypatch.setattr(strangers, "_REST_S", 60)
    for _ in range(100):
        with pytest.raises(UnknownTopic):
            await known.partitions(client, "replies.a")
    assert client.looks == looks
    client.there["replies.a"] = 2
    monkeypatch.setattr(strangers, "_REST_S", 0)
    assert await known.partitions(client, "replies.a") == [0, 1]


async def test_topic_that_has_just_been_made_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_PATIENCE_S", 60)
    client, known = Cluster(), Strangers()
    finding = asyncio.ensure_future(known.partitions(client, "replies.a"))
    await asyncio.sleep(0.02)
    client.there["replies.a"] = 1
    assert await finding == [0]


async def test_topic_is_not_taken_for_missing_while_no_broker_answers() -> None:
    client, known = Cluster(**{"replies.a": 1}), Strangers()
    client.away = 20
    assert await known.partitions(client, "replies.a") == [0]
    assert client.looks > 20


async def test_topic_that_is_not_for_us_is_told_at_once() -> None:
    client, known = Cluster(), Strangers()
    client.unauthorized_topics.add("replies.a")
    with pytest.raises(NotAuthorized):
        await known.partitions(client, "replies.a")
    assert client.looks == 1


async def test_client_has_no_more_topics_in_mind_than_were_named_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_MOST", 3)
    there: dict[str, Any] = {f"replies.{number}": 1 for number in range(10)}
    client, known = Cluster(**there), Strangers()
    client.add_topic("weir.replies")
    for topic in there:
        assert await known.partitions(client, topic) == [0]
        with pytest.raises(UnknownTopic):
            await known.partitions(client, f"{topic}.not-there")
    assert client._topics == {"weir.replies", "replies.7", "replies.8", "replies.9"}


async def test_topic_that_nobody_waited_long_enough_for_does_not_stay_in_the_clients_mind() -> None:
    client, known = Cluster(), Strangers()
    client.away = 1_000_000
    for number in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await known.partitions(client, f"replies.{number}")
    assert not client._topics


async def test_where_many_topics_are_not_there_most_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_MOST_AWAITED", 3)
    monkeypatch.setattr(strangers, "_PATIENCE_S", 60)
    client, known = Cluster(), Strangers()
    finding = [asyncio.ensure_future(known.partitions(client, f"replies.{number}")) for number in range(5)]
    done, waited_for = await asyncio.wait(finding, timeout=0.5)
    assert done == set(finding[3:])
    assert all(isinstance(one.exception(), UnknownTopic) for one in done)
    for one in waited_for:
        one.cancel()
