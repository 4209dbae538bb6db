"""Follow a compacted topic: read it to its end before the service is ready, then stay with it.

In:    `weir.config` or `weir.signals` from the beginning.
Out:   what the records hold, to one callback, in parts: of all that is there at the start, then poll by poll.
Never: a consumer group: every process reads the whole topic.

Anything unreadable is logged and passed over: one bad record must not keep a cluster from starting. What the topic has
lost is logged: processes that run know it still, and those that start do not.
"""

import asyncio
import gc
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contracts.config import DroppedVersion, Entity, OldVersion, ProjectVersion, from_record, removed
from shared.contracts.signal import Signal
from shared.errors import BadRecord
from shared.kafka.faults import CLIENT_ERRORS, translate
from shared.kafka.tail import Tail
from shared.kafka.watchdog import Watched
from shared.names import actions, topics
from shared.names.metrics import CONFIG_OFFSET
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics
from shared.telemetry.verbosity import VERBOSITY

log = logging.getLogger(__name__)
_CONFIG, _SIGNALS = TopicPartition(topics.CONFIG, 0), TopicPartition(topics.SIGNALS, 0)
T = TypeVar("T")
# taken in without a turn for others: a few projects, for each is compiled, or many clients and tokens
_PROJECTS_AT_ONCE, _AT_ONCE = 4, 1_000
# of services that ask for the newest version alone: those before it serve where it cannot be read
FEW_OLDER = 5


class TopicFollower(Generic[T]):
    """Calls `apply` with what the records hold, in the order of the topic."""

    # what an operator can do about records that are gone
    to_do = "those that start from now on do not know it"

    def __init__(self, settings: KafkaSettings, tasks: Tasks, place: TopicPartition,
                 read: Callable[[bytes | None, bytes], T], apply: Callable[[Sequence[T]], None],
                 removed: Callable[[bytes | None], T | None] = lambda _: None) -> None:
        """`read` raises BadRecord; `removed`: what a record without a value says; `apply` must not block, it runs in
        the event loop."""
        self._tail = Tail(settings, tasks, place.topic)
        self._place, self._read, self._apply, self._removed = place, read, apply, removed
        self._consumer: AIOKafkaConsumer | None = None
        self._moved = asyncio.Condition()
        self.next_offset = 0

    async def start(self) -> None:
        """Return once everything that was in the topic has been applied.

        Not before all has been read: a project has a record for each of its versions, and only the newest one is worth
        compiling.
        """
        self._consumer = consumer = await self._tail.open()
        end = (await consumer.end_offsets([self._place]))[self._place]
        found: list[T] = []
        while await consumer.position(self._place) < end:
            found += await self._poll()
            self._thin_out(found)
            gc.freeze()
        await self._take(found, at_start=True)
        await self._look_at_start(consumer)
        await self._arrived(await consumer.position(self._place))
        self._tail.follow(self._follow(consumer))

    async def stop(self) -> None:
        """Stop following, disconnect."""
        await self._tail.stop()

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return self._tail.watched

    async def wait_for(self, offset: int) -> None:
        """Return once the record at `offset` has been applied here."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.next_offset > offset)

    async def catch_up(self) -> None:
        """Return once everything that is in the topic now has been applied. Raises KafkaUnavailable."""
        if self._consumer is None:
            return
        try:
            end = (await self._consumer.end_offsets([self._place]))[self._place]
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"looking for the end of {self._place.topic}") from exc
        await self.wait_for(end - 1)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await self._take(await self._poll())
            await self._arrived(await consumer.position(self._place))

    async def _poll(self) -> list[T]:
        found: list[T] = []
        for record in await self._tail.poll():
            if record.value is None:
                if (removed := self._removed(record.key)) is not None:
                    found.append(removed)
                continue
            try:
                found.append(self._read(record.key, record.value))
            except BadRecord as exc:
                log.warning("record of %s at offset %d passed over: %s", record.topic, record.offset, exc,
                            extra={"action": actions.CONFIG_UNREADABLE})
        return found

    async def _look_at_start(self, consumer: AIOKafkaConsumer) -> None:
        """Whether all is there that was ever written, but for what was written again since."""

    def _thin_out(self, found: list[T]) -> None:
        """What is there at the start is held all together."""

    async def _take(self, found: list[T], *, at_start: bool = False) -> None:
        """Part by part: the process has its other work, and has to be seen to live, however much is taken in."""
        while found:
            part = found[:self._at_once(found)]
            # what is made of it takes its room
            del found[:len(part)]
            self._apply(self._whole(part))
            if at_start:
                # it stays: a collector that walks all of it again and again takes more time than taking it in
                gc.freeze()
            await asyncio.sleep(0)

    def _at_once(self, found: Sequence[T]) -> int:
        """How many are taken in without a turn for others."""
        return len(found)

    def _whole(self, part: Sequence[T]) -> Sequence[T]:
        """As it was before it was thinned out, as far as anybody needs it so."""
        return part

    async def _arrived(self, offset: int) -> None:
        """Everything before `offset` has been applied."""
        if offset == self.next_offset:
            return
        if offset < self.next_offset:
            log.error("%s was read up to %d and goes on from %d: it has lost its newest records or was made anew. What "
                      "they said is in force in this process until it ends; %s", self._place.topic, self.next_offset,
                      offset, self.to_do, extra={"action": actions.STREAM_LOST})
        async with self._moved:
            self.next_offset = offset
            self._moved.notify_all()


class ConfigFollower(TopicFollower[Entity]):
    """Follows the configuration."""

    to_do = ("`weir export` saves each project as long as control runs; then end all processes, start them again, "
             "apply the projects, and make clients, tokens and credentials anew")

    def __init__(self, settings: KafkaSettings, tasks: Tasks, metrics: Metrics,
                 apply: Callable[[Sequence[Entity]], None], *, older: int | None = None) -> None:
        """`metrics` says how far this process has read. `older`: so many versions of a project that are there at the
        start are enough beside its newest; without it all are asked for."""
        def take(found: Sequence[Entity]) -> None:
            VERBOSITY.take(found)
            apply(found)

        super().__init__(settings, tasks, _CONFIG, from_record, take, removed)
        # where in what is held at the start the newest version of each project stands
        self._newest: dict[str, tuple[int, int]] = {}
        # and the older ones that are held, where not all are
        self._older, self._held = older, dict[str, deque[int]]()
        self._thinned = 0
        metrics.read(CONFIG_OFFSET, lambda: self.next_offset)

    async def _look_at_start(self, consumer: AIOKafkaConsumer) -> None:
        start = (await consumer.beginning_offsets([self._place]))[self._place]
        if start:
            log.error("%s begins at %d: what was written before is gone, projects, clients and tokens maybe, and who "
                      "starts does not know of it. Somebody has deleted its records, or its cleanup.policy is not "
                      "`compact`, as it has to be", self._place.topic, start, extra={"action": actions.STREAM_LOST})

    def _thin_out(self, found: list[Entity]) -> None:
        """Versions wait packed: what all projects take whole is most of the memory, and a process gives none back."""
        for place, entity in enumerate(found[self._thinned:], self._thinned):
            if isinstance(entity, ProjectVersion):
                found[place] = entity.packed()
                version, before = self._newest.get(entity.project, (0, place))
                if entity.version < version:
                    self._set_aside(found, place)
                    continue
                if before != place:
                    self._set_aside(found, before)
                self._newest[entity.project] = entity.version, place
        self._thinned = len(found)

    def _set_aside(self, found: list[Entity], place: int) -> None:
        """Of the versions of a project that are not its newest one the oldest is let go where they are too many."""
        entity = found[place]
        if self._older is None or not isinstance(entity, OldVersion):
            return
        held = self._held.setdefault(entity.project, deque())
        held.append(place)
        if len(held) > self._older:
            oldest = held.popleft()
            if isinstance(gone := found[oldest], OldVersion):
                found[oldest] = DroppedVersion(project=gone.project, version=gone.version)

    def _is_newest(self, entity: Entity) -> bool:
        return isinstance(entity, OldVersion) and self._newest[entity.project][0] == entity.version

    def _at_once(self, found: Sequence[Entity]) -> int:
        projects = 0
        for count, entity in enumerate(found[:_AT_ONCE], 1):
            projects += isinstance(entity, ProjectVersion) or self._is_newest(entity)
            if projects == _PROJECTS_AT_ONCE:
                return count
        return _AT_ONCE

    def _whole(self, part: Sequence[Entity]) -> Sequence[Entity]:
        return [entity.unpacked() if isinstance(entity, OldVersion) and self._is_newest(entity) else entity
                for entity in part]


class SignalFollower(TopicFollower[Signal]):
    """Follows the signals."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, apply: Callable[[Sequence[Signal]], None]) -> None:
        """`apply`: what takes them in."""
        super().__init__(settings, tasks, _SIGNALS, Signal.from_record, apply)
