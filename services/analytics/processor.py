"""The faust app as a part of the service: it starts and stops with the others, and the watchdog can look at it.

In:    the app, the places of the ledger.
Out:   messages to the app's agents, for as long as the part runs; the end of the service when the app has ended.
Never: a message handled here.

Faust says what went wrong to a log of its own, and whoever runs it learns nothing: a reader that may read no more is
gone, and the rest of the app goes on.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import faust
from aiokafka import TopicPartition
from faust.types import TP

from services.analytics.app import GROUP
from services.analytics.follow import Places, Rewinder
from shared.kafka import rights
from shared.kafka.faults import CLIENT_ERRORS, translate
from shared.kafka.watchdog import Watched
from shared.names import topics
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings

_TOPICS = (topics.USAGE, topics.QUERIES)
_LOOK_S = 1.0


class Processor:
    """The faust app as a part of the service."""

    def __init__(self, app: faust.App, places: Places, rewinder: Rewinder, kafka: KafkaSettings, tasks: Tasks) -> None:
        """Built, not started."""
        self._app, self._places, self._rewinder = app, places, rewinder
        self._kafka, self._tasks = kafka, tasks
        self._heart: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join the group; messages come from now on. Raises SendFailed where that is not allowed."""
        await rights.look(self._kafka, GROUP, _TOPICS)
        self._app.finalize()
        await self._app.start()
        self._heart = self._tasks.spawn(self._listen(), "listen to faust")
        self._rewinder.begin(self._positions, self._seek)

    async def _listen(self) -> None:
        while True:
            # a thread's end wakes up nobody here
            await asyncio.sleep(_LOOK_S)
            self._check()

    def _check(self) -> None:
        """Raises SendFailed, KafkaUnavailable once faust has crashed."""
        if self._app.crashed:
            reason = self._app.crash_reason or RuntimeError("it does not say why")
            raise translate(reason, f"reading as group {GROUP}") from reason

    async def stop(self) -> None:
        """Finish the message under way, leave."""
        await self._tasks.end(self._heart)
        await self._rewinder.end()
        await self._app.stop()

    def watched(self, full: Callable[[], bool]) -> Watched:
        """For the watchdog; `full`: whether no more is taken for now."""
        return Watched(name=GROUP, topics=_TOPICS, places=self._taken, waits=full)

    async def _taken(self) -> dict[TopicPartition, int]:
        """What was handed over, which is less than what was fetched."""
        return {TopicPartition(topics.USAGE, partition): offset for partition, offset in self._places.next.items()}

    async def _positions(self) -> dict[int, int]:
        # the loop of a thread that has crashed is closed, and says no more than that
        self._check()
        consumer, found = self._app.consumer, dict[int, int]()
        for tp in consumer.assignment():
            if tp.topic == topics.USAGE:
                # one that has moved to another process meanwhile stands nowhere
                with suppress(*CLIENT_ERRORS):
                    place = await consumer.position(tp)
                    if place is not None:
                        found[tp.partition] = place
        return found

    async def _seek(self, partition: int, offset: int) -> None:
        # `seek` would reach into the consumer's thread, and end it while it reads
        await self._app.consumer.seek_wait({TP(topics.USAGE, partition): offset})
