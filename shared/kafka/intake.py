"""Read request-like topics as a static member of a group, with bounded open work and exact commits.

In:    topics, a handler for each poll.
Out:   polls to the handler; commits of the highest offset below which all is finished, and what is finished above it.
Never: a rule about the records; a bare `commit()`.

The handler takes records and says later, through `finished`, which ones are done and their effects acknowledged.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from shared.clock import SystemClock
from shared.kafka import connect
from shared.kafka.commits import Commits
from shared.kafka.faults import (
    CLIENT_ERRORS,
    UNREADABLE,
    KafkaUnavailable,
    forbidden,
    translate,
)
from shared.kafka.finished import Finished, read
from shared.kafka.held import Held
from shared.kafka.jumps import Jumps
from shared.kafka.record import Record
from shared.kafka.unreadable import read_around
from shared.kafka.watchdog import Watched, places_of
from shared.names import actions
from shared.names.metrics import RECORDS_OPEN
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who reads what. `max_open`: how many records may be unfinished before polling pauses."""

    group: str
    instance: str
    topics: Sequence[str]
    max_open: int


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One consumer, its partitions' trackers, and the loop between them."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, metrics: Metrics, subscription: Subscription) -> None:
        """Reads once started; `handler` has to be set before."""
        self._settings, self._tasks, self._metrics = settings, tasks, metrics
        self._subscription = subscription
        self._jumps = Jumps(subscription.group, tasks)
        self._consumer: AIOKafkaConsumer | None = None
        self._held = Held()
        self._commits = Commits(settings, metrics, subscription.group, subscription.instance)
        # how often partitions were assigned; whether what others finished of the present ones is known
        self._assignments, self._recalled = 0, asyncio.Event()
        self._clock = SystemClock()
        self._room, self._idle = asyncio.Event(), asyncio.Event()
        self._stopping = False
        self._loops: list[asyncio.Task[Any]] = []
        self.handler: Callable[[Sequence[Record]], None] = _nobody
        metrics.read(RECORDS_OPEN, self.open)
        metrics.bound("records", self.open, subscription.max_open)

    async def start(self) -> None:
        """Join the group and begin to hand records to the handler. Raises KafkaUnavailable."""
        self._consumer = await connect.group_consumer(
            self._settings, self._subscription.group, self._subscription.instance)
        self._consumer.subscribe(topics=list(self._subscription.topics), listener=self)
        self._room.set()
        self._idle.set()
        self._loops = [self._tasks.spawn(self._poll(self._consumer), f"poll {self._subscription.group}"),
                       self._tasks.spawn(self._commit_now_and_then(), f"commit {self._subscription.group}")]

    async def stop(self) -> None:
        """Take no more records, wait until the open ones are finished, commit, leave."""
        self._stopping = True
        self._room.set()
        if self._consumer is None:
            return
        # after a failure the open records may never be finished; they are delivered again
        idle: asyncio.Future[Any] = asyncio.ensure_future(self._idle.wait())
        ends: set[asyncio.Future[Any]] = {idle, self._tasks.failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        await self._tasks.end(*self._loops)
        if not self._tasks.failed.done():
            await self._commit()
        await self._consumer.stop()

    def finished(self, records: Iterable[Record]) -> None:
        """These records are done; records of a partition that has moved on are ignored."""
        self._held.finished(records)
        self._look_around()

    def finish_after(self, records: Sequence[Record], effects: Iterable[asyncio.Future[None]]) -> None:
        """The records are done once all effects are acknowledged; an effect that fails takes the service down.

        A restarted service is handed the records again, which is better than to go on with an effect lost.
        """
        open_effects = set(effects)
        if not open_effects:
            self.finished(records)
            return

        def ended(effect: asyncio.Future[None]) -> None:
            open_effects.discard(effect)
            error = None if effect.cancelled() else effect.exception()
            if error is not None:
                self._tasks.fail(error)
            elif not open_effects:
                self.finished(records)

        for effect in tuple(open_effects):
            effect.add_done_callback(ended)

    def open(self) -> int:
        """How many records are read and not finished."""
        return self._held.open

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return Watched(name=self._subscription.group, topics=tuple(self._subscription.topics),
                       places=lambda: places_of(self._consumer),
                       waits=lambda: self._stopping or not self._room.is_set(), oldest_s=self._oldest_s)

    def _oldest_s(self) -> float:
        written_ms = self._held.oldest_ms()
        return 0.0 if written_ms is None else max(0.0, self._clock.now_ms() - written_ms) / 1000

    def _look_around(self) -> None:
        _switch(self._room, on=self._held.open < self._subscription.max_open or self._stopping)
        _switch(self._idle, on=self._held.open == 0)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        while not self._stopping:
            await self._room.wait()
            polled = await self._fetch(consumer)
            if not self._recalled.is_set():
                assignment = self._assignments
                await self._recalled.wait()
                if self._assignments != assignment:
                    # whoever has the partitions now reads these again
                    continue
            if self._stopping:
                return
            records: list[Record] = []
            for partition, found in polled.items():
                records.extend(self._held.take(partition, found))
                if found:
                    self._jumps.look(consumer, partition, found)
                self._metrics.consumed.inc(partition.topic, by=len(found))
            # what goes on here from before a rebalance is open, too, though nothing begins
            self._look_around()
            if records:
                self.handler(records)

    async def _fetch(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, list[Record]]:
        for topic in consumer._client.cluster.unauthorized_topics:
            # the client would read the others, and leave this one out
            raise forbidden(topic)
        try:
            polled: dict[TopicPartition, list[Record]] = await consumer.getmany(timeout_ms=1000)
            return polled
        except UNREADABLE:
            return await read_around(consumer, self._held.places, self._settings.max_poll_records)
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"reading as group {self._subscription.group}") from exc

    async def _commit_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_interval_ms / 1000)
            await self._commit()

    async def _commit(self) -> None:
        if self._consumer is not None:
            await self._commits.commit(self._consumer, self._held.trackers)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Commit what is done, then let go of the partitions: their open records go to whoever has them next."""
        # before the commit: what is finished while that is under way is not in it
        going = self._held.going(revoked)
        try:
            await self._commit()
        except KafkaUnavailable as exc:
            # the client would pass it over
            self._tasks.fail(exc)
        self._held.let_go(revoked, going)
        self._jumps.end(revoked)
        self._look_around()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Start counting anew, from what whoever had the partitions has finished."""
        self._assignments += 1
        self._commits.joined()
        self._recalled.clear()
        partitions = list(assigned)
        # records that come meanwhile are counted by nobody yet
        self._held.begin(partitions, await self._finished_before(partitions))
        self._recalled.set()

    async def _finished_before(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Finished]:
        if self._consumer is None or not partitions:
            return {}
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                # `committed()` of the client leaves out what stands beside the offset
                committed = await self._consumer._coordinator.fetch_committed_offsets(partitions)
        except CLIENT_ERRORS as exc:
            log.warning("group %s: what was finished behind open records is not known and done again: %r",
                        self._subscription.group, exc, extra={"action": actions.COMMIT_FAILED})
            return {}
        self._jumps.begin({partition: place.offset for partition, place in committed.items() if place.offset >= 0})
        return {partition: finished for partition, place in committed.items()
                if (finished := read(place.metadata)) is not None}


def _switch(event: asyncio.Event, *, on: bool) -> None:
    if on is event.is_set():
        return
    if on:
        event.set()
    else:
        event.clear()


def _nobody(records: Sequence[Record]) -> None:
    raise RuntimeError(f"no handler is set for {len(records)} records")
