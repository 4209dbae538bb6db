"""A topic that cannot be read yet, or may not be: the client says nothing, for ever."""

import asyncio
import logging
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from shared.kafka import connect
from shared.kafka import tail as module
from shared.kafka.faults import SendFailed
from shared.kafka.tail import Tail
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from tests.support.platform import eventually


class Silent:
    """A consumer that waits for the place of its partition."""

    def __init__(self, unauthorized: set[str], known: set[int] | None) -> None:
        self.unauthorized_topics, self.known, self.there = unauthorized, known, asyncio.Event()
        self._client = self.cluster = self

    def partitions_for_topic(self, _: str) -> set[int] | None:
        return self.known

    def assign(self, _: Any) -> None:
        """To one partition."""

    async def seek_to_beginning(self, _: Any) -> None:
        await self.there.wait()

    async def position(self, _: Any) -> int:
        return 7

    async def getmany(self, *_: Any, **__: Any) -> Any:
        raise TopicAuthorizationFailedError("weir.signals")


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Open a tail with this consumer; what waits is told each hundredth of a second."""
    monkeypatch.setattr(module, "_TELL_S", 0.01)

    async def begin(consumer: Silent) -> Tail:
        async def made(_: Any) -> Silent:
            return consumer
        monkeypatch.setattr(connect, "lone_consumer", made)
        tail = Tail(KafkaSettings(), Tasks(), "weir.signals")
        await tail.open()
        return tail
    return begin


async def test_process_that_may_not_read_a_topic_ends_and_says_what_it_lacks(opening: Any) -> None:
    with pytest.raises(SendFailed, match=r"weir\.signals.*`python -m deploy\.kafka\.acls`"):
        await asyncio.wait_for(opening(Silent({"weir.signals"}, None)), 5)


@pytest.mark.parametrize(("known", "why"), [(None, "there is no such topic"), ({0}, "does not tell where it ends")])
async def test_process_that_waits_for_a_topic_says_for_which_and_goes_on_once_it_is_there(
        known: set[int] | None, why: str, opening: Any, caplog: pytest.LogCaptureFixture) -> None:
    consumer = Silent(set(), known)
    waits = asyncio.create_task(opening(consumer))
    with caplog.at_level(logging.WARNING):
        await eventually(lambda: caplog.records, every_s=0.01)
    line = caplog.records[0].getMessage()
    assert line.startswith("weir.signals cannot be read yet")
    assert why in line
    consumer.there.set()
    await asyncio.wait_for(waits, 5)


async def test_process_that_may_read_a_topic_no_longer_says_what_it_lacks(opening: Any) -> None:
    consumer = Silent(set(), {0})
    consumer.there.set()
    tail = await opening(consumer)
    with pytest.raises(SendFailed, match=r"reading weir\.signals: .*`python -m deploy\.kafka\.acls`"):
        await tail.poll()
