"""The faust app as a part of the service: it starts and stops with the others, and the watchdog can look at it.

In:    the app, the places of the ledger.
Out:   messages to the app's agents, for as long as the part runs.
Never: a message handled here.
"""

from collections.abc import Callable
from contextlib import suppress

import faust
from aiokafka import TopicPartition
from faust.types import TP

from services.analytics.app import GROUP
from services.analytics.follow import Places, Rewinder
from shared.kafka.faults import CLIENT_ERRORS
from shared.kafka.watchdog import Watched
from shared.names import topics


class Processor:
    """The faust app as a part of the service."""

    def __init__(self, app: faust.App, places: Places, rewinder: Rewinder) -> None:
        """Built, not started."""
        self._app, self._places, self._rewinder = app, places, rewinder

    async def start(self) -> None:
        """Join the group; messages come from now on."""
        self._app.finalize()
        await self._app.start()
        self._rewinder.begin(self._positions, self._seek)

    async def stop(self) -> None:
        """Finish the message under way, leave."""
        await self._rewinder.end()
        await self._app.stop()

    def watched(self, full: Callable[[], bool]) -> Watched:
        """For the watchdog; `full`: whether no more is taken for now."""
        return Watched(name=GROUP, places=self._taken, waits=full)

    async def _taken(self) -> dict[TopicPartition, int]:
        """What was handed over, which is less than what was fetched."""
        return {TopicPartition(topics.USAGE, partition): offset for partition, offset in self._places.next.items()}

    async def _positions(self) -> dict[int, int]:
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
