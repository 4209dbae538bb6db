"""Read request-like topics as a static member of a group, with bounded open work and exact commits.

In:    topics, a handler for each poll.
Out:   polls to the handler; commits of the highest offset below which all is finished, and what is finished above it.
Never: a rule about the records; a bare `commit()`.

The handler takes records and says later, through `finished`, which ones are done and their effects acknowledged.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from shared.clock import SystemClock
from shared.kafka import connect
from shared.kafka.faults import (
    CLIENT_ERRORS,
    UNREADABLE,
    KafkaUnavailable,
    forbidden,
    is_text_too_long,
    is_unknown_member,
    translate,
)
from shared.kafka.finished import Finished, read
from shared.kafka.jumps import Jumps
from shared.kafka.offsets import InHand, OffsetTracker
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
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        # of partitions that were taken away and may have come back since
        self._in_hand: dict[TopicPartition, InHand] = {}
        self._open = 0
        self._places: dict[TopicPartition, int] = {}
        # how often partitions were assigned; whether what others finished of the present ones is known
        self._assignments, self._recalled = 0, asyncio.Event()
        # where each poll began, and when its first record was written
        self._polls: dict[TopicPartition, deque[tuple[int, int]]] = {}
        self._clock = SystemClock()
        self._room, self._idle = asyncio.Event(), asyncio.Event()
        self._stopping = False
        # whether the broker takes what is told of the records above an offset
        self._tells = True
        # a commit did not end though the broker answers
        self._in_doubt = False
        # when the group took this member for one of its own, by the clock that never goes back
        self._member_s = -math.inf
        # when it did so for the first time
        self._joined_s = math.inf
        self._loops: list[asyncio.Task[Any]] = []
        self.handler: Callable[[Sequence[Record]], None] = _nobody
        metrics.kafka_errors.inc("commit", by=0)
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
        # a plain pair finds what stands under a TopicPartition
        by_partition: dict[tuple[str, int], list[int]] = {}
        for record in records:
            place = record.topic, record.partition
            if place in by_partition:
                by_partition[place].append(record.offset)
            else:
                by_partition[place] = [record.offset]
        for partition, offsets in by_partition.items():
            tracker, in_hand = self._trackers.get(partition), self._in_hand.get(partition)
            if tracker is not None:
                self._open -= tracker.finished(offsets)
            if in_hand is not None:
                in_hand.finished(offsets)
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
        return self._open

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return Watched(name=self._subscription.group, topics=tuple(self._subscription.topics),
                       places=lambda: places_of(self._consumer),
                       waits=lambda: self._stopping or not self._room.is_set(), oldest_s=self._oldest_s)

    def _oldest_s(self) -> float:
        written_ms = [found for partition in self._polls if (found := self._written_ms(partition)) is not None]
        return max(0.0, self._clock.now_ms() - min(written_ms)) / 1000 if written_ms else 0.0

    def _written_ms(self, partition: TopicPartition) -> int | None:
        """When the oldest unfinished record of a partition was written, to the poll that brought it."""
        polls, oldest = self._polls[partition], self._trackers[partition].oldest
        while polls and (oldest is None or (len(polls) > 1 and polls[1][0] <= oldest)):
            polls.popleft()
        return polls[0][1] if polls else None

    def _look_around(self) -> None:
        _switch(self._room, on=self._open < self._subscription.max_open or self._stopping)
        _switch(self._idle, on=self._open == 0)

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
                tracker = self._tracker_of(partition, found)
                self._open += tracker.fetched(found)
                if found:
                    self._polls.setdefault(partition, deque()).append((found[0].offset, found[0].timestamp))
                    self._written_ms(partition)
                    self._places[partition] = found[-1].offset + 1
                    self._jumps.look(consumer, partition, found)
                self._metrics.consumed.inc(partition.topic, by=len(found))
                records.extend(self._to_do(partition, tracker, found))
            # what goes on here from before a rebalance is open, too, though nothing begins
            self._look_around()
            if records:
                self.handler(records)

    def _tracker_of(self, partition: TopicPartition, found: Sequence[Record]) -> OffsetTracker:
        tracker = self._trackers.get(partition)
        if tracker is not None and found and found[0].offset < self._places.get(partition, 0):
            # the topic has lost its newest records: where what is worked on stood there will be others, and no offset
            # of before may be committed, or whoever comes next passes over those
            self._in_hand[partition] = tracker.in_hand(self._in_hand.get(partition))
            self._open -= tracker.open
            self._polls.pop(partition, None)
            tracker = None
        if tracker is None:
            tracker = self._trackers[partition] = OffsetTracker()
        return tracker

    def _to_do(self, partition: TopicPartition, tracker: OffsetTracker, found: Sequence[Record]) -> Sequence[Record]:
        """Those of a poll that are neither finished nor worked on here."""
        known, going_on, in_hand = tracker.finished_before(found), frozenset[int](), self._in_hand.get(partition)
        if in_hand is not None and found:
            going_on, done = in_hand.among(found)
            known |= done
            if in_hand.is_behind(found):
                del self._in_hand[partition]
        if known:
            self._open -= tracker.finished(known)
        if not known and not going_on:
            return found
        return [record for record in found if record.offset not in known and record.offset not in going_on]

    async def _fetch(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, list[Record]]:
        for topic in consumer._client.cluster.unauthorized_topics:
            # the client would read the others, and leave this one out
            raise forbidden(topic)
        try:
            polled: dict[TopicPartition, list[Record]] = await consumer.getmany(timeout_ms=1000)
            return polled
        except UNREADABLE:
            return await read_around(consumer, self._places, self._settings.max_poll_records)
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"reading as group {self._subscription.group}") from exc

    async def _commit_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_interval_ms / 1000)
            await self._commit()

    async def _commit(self) -> None:
        # a partition that comes back meanwhile has a tracker of its own, and what is committed of it may be further on
        trackers = dict(self._trackers)
        offsets = {partition: (place[0], place[1] if self._tells else "") for partition, tracker in trackers.items()
                   if (place := tracker.take_committable()) is not None}
        if not offsets or self._consumer is None:
            return
        # a second time there is less patience: by then somebody else may have the partitions
        within_ms = self._settings.session_timeout_ms // (2 if self._in_doubt else 1)
        try:
            async with asyncio.timeout(within_ms / 1000) as limit:
                await self._consumer.commit(offsets)
        except CLIENT_ERRORS as exc:
            self._metrics.kafka_errors.inc("commit")
            if is_unknown_member(exc):
                self._check_place(exc)
            answers = limit.expired() and await self._answers(self._consumer, offsets)
            if answers and self._in_doubt:
                # the client can lose the coordinator for good when a broker dies, and go on fetching: by now the group
                # has given the partitions to somebody else, and both would work on every record
                raise KafkaUnavailable(f"group {self._subscription.group}: no commit within {within_ms} ms though the "
                                       "broker answers; this member may be in it no more, so it ends and joins anew"
                                       ) from exc
            self._in_doubt = answers
            for partition, (offset, _) in offsets.items():
                trackers[partition].put_back(offset)
            log.warning("could not commit %s: %r", self._subscription.group, exc,
                        extra={"action": actions.COMMIT_FAILED})
            if is_text_too_long(exc):
                self._tells = False
                log.warning("group %s goes on without: after a crash, what was finished behind open records is done "
                            "again; the broker's offset.metadata.max.bytes should be 4096, as it is unless it is set",
                            self._subscription.group, extra={"action": actions.COMMIT_FAILED})
        else:
            self._in_doubt, self._member_s = False, time.monotonic()

    def _check_place(self, error: Exception) -> None:
        """Raises KafkaUnavailable where another process has this member's place: each would take it back again and
        again, and be handed all that the other has in hand. One whose session is over joins anew; one that has just
        come, too: the one before it learns only now that it has been followed, and takes the place back once."""
        now_s = time.monotonic()
        since_s = now_s - self._member_s
        if now_s - self._joined_s < 2 * self._settings.heartbeat_interval_ms / 1000:
            return
        if since_s < self._settings.session_timeout_ms / 1000:
            raise KafkaUnavailable(
                f"group {self._subscription.group}: {self._subscription.instance} was a member {since_s:.1f} s ago and "
                "is none now: another process has joined under this name, so this one ends. Give each process a "
                "WEIR_INSTANCE of its own") from error

    async def _answers(self, consumer: AIOKafkaConsumer, asked: Iterable[TopicPartition]) -> bool:
        """Whether the broker is there: while it is not, no member of the group can commit, and nobody takes over."""
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                await consumer.end_offsets(list(asked))
        except CLIENT_ERRORS:
            return False
        return True

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Commit what is done, then let go of the partitions: their open records go to whoever has them next."""
        held = {partition: (tracker, tracker.in_hand(self._in_hand.get(partition))) for partition in revoked
                if (tracker := self._trackers.get(partition)) is not None}
        # before the commit: what is finished while that is under way is not in it
        self._in_hand.update({partition: in_hand for partition, (_, in_hand) in held.items()})
        try:
            await self._commit()
        except KafkaUnavailable as exc:
            # the client would pass it over
            self._tasks.fail(exc)
        for tracker, in_hand in held.values():
            tracker.tell(in_hand)
        for partition in revoked:
            self._trackers.pop(partition, None)
            self._places.pop(partition, None)
            self._polls.pop(partition, None)
        self._jumps.end(revoked)
        self._open = sum(tracker.open for tracker in self._trackers.values())
        self._look_around()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Start counting anew, from what whoever had the partitions has finished."""
        self._assignments += 1
        self._member_s = time.monotonic()
        self._joined_s = min(self._joined_s, self._member_s)
        self._recalled.clear()
        partitions = list(assigned)
        # records that come meanwhile are counted by nobody yet
        finished = await self._finished_before(partitions)
        for partition in partitions:
            self._trackers[partition] = OffsetTracker(finished.get(partition))
        self._open = sum(tracker.open for tracker in self._trackers.values())
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
