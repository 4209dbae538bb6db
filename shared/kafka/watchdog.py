"""Notice consumers that have stopped fetching, and how far behind the others are.

In:    the consumers of this process, the ends of what they read, asked of the broker by a client of our own.
Out:   lag and age for the metrics; the end of a process of which a consumer reads nothing though there is something to
       read: its supervisor starts it anew, and as a static member it has its partitions back at once; whether the
       broker answers at all, and has the topics.
Never: an end for what is no fault of the consumer: a broker that is away, bounds that are full, nothing to read.

A client that lost its way does not know it: it waits for a fetch that never ends, or a loop waits for it. Seen from
outside both look the same: the topic grows and the place in it does not move.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.errors import WeirError
from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS, KafkaUnavailable
from shared.names import actions
from shared.names import metrics as M
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
Places = Mapping[TopicPartition, int]
_ASK_S = 2.0
# one answer that is late is a busy machine's
_SILENT_S = 3.0
_NO_TOPIC = ("there is no such topic any more; `python -m shared.kafka.topics` makes it, without what it held, and who "
             "reads it goes on")


class ConsumerStopped(KafkaUnavailable):
    """A consumer reads nothing though there is something to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One consumer. `topics`: what it reads, as long as they are there; `places`: next offset of each partition that it
    owns; `waits`: it reads nothing on purpose; `oldest_s`: age of the oldest record that it has read and not
    finished."""

    name: str
    topics: tuple[str, ...]
    places: Callable[[], Awaitable[Places]]
    waits: Callable[[], bool] = lambda: False
    oldest_s: Callable[[], float] = lambda: 0.0


@dataclass(slots=True)
class Progress:
    """How one consumer moves. Pure: times are monotonic seconds. `places`: where it was seen last; `lag`: records not
    read, by partition."""

    places: Places = field(default_factory=dict)
    lag: dict[TopicPartition, int] = field(default_factory=dict)
    _since: dict[TopicPartition, float] = field(default_factory=dict)

    def look(self, now_s: float, places: Places, ends: Places, *, excused: bool) -> None:
        """Take in where it stands; one that is excused, moves or had read all begins to be waited for anew."""
        waited = {partition for partition, lag in self.lag.items() if lag and not excused
                  and self.places.get(partition) == places.get(partition)}
        self._since = {partition: self._since[partition] if partition in waited else now_s for partition in places}
        self.lag = {partition: max(0, ends.get(partition, place) - place) for partition, place in places.items()}
        self.places = places

    def still(self, now_s: float) -> tuple[TopicPartition, float] | None:
        """The partition that has not moved for the longest time though there is something to read, and that time."""
        waiting = [(now_s - since, partition) for partition, since in self._since.items() if self.lag[partition]]
        if not waiting:
            return None
        still_s, partition = max(waiting)
        return partition, still_s


async def places_of(consumer: AIOKafkaConsumer | None) -> Places:
    """Where a consumer stands, as it says itself."""
    if consumer is None:
        return {}
    return {partition: await consumer.position(partition) for partition in consumer.assignment()}


class Watchdog:
    """Looks at all consumers of a process every few seconds."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, metrics: Metrics, watched: Iterable[Watched]) -> None:
        """Looks once started; started last and stopped first, so that it sees no consumer that is on its way."""
        self._settings, self._tasks, self._metrics = settings, tasks, metrics
        self._watched = {one: Progress() for one in watched}
        self._asker: AIOKafkaConsumer | None = None
        self._loop: asyncio.Task[None] | None = None
        self._silent_since_s: float | None = None
        # topics that somebody has deleted
        self._gone: set[str] = set()
        metrics.read(M.CONSUMER_LAG, self._lags)
        metrics.read(M.OLDEST_SECONDS, self._oldest)

    async def start(self) -> None:
        """Connect, begin to look. Raises KafkaUnavailable."""
        self._asker = await connect.lone_consumer(self._settings)
        self._loop = self._tasks.spawn(self._run(self._asker), "watchdog")

    async def stop(self) -> None:
        """Look no more."""
        await self._tasks.end(self._loop)
        if self._asker is not None:
            await self._asker.stop()

    async def probe(self) -> str | None:
        """Why a service that reads cannot do its work; None when it can."""
        silent_s = 0.0 if self._silent_since_s is None else time.monotonic() - self._silent_since_s
        if silent_s > _SILENT_S:
            return f"the broker has not answered for {silent_s:.0f} s"
        return f"{', '.join(sorted(self._gone))}: {_NO_TOPIC}" if self._gone else None

    async def _run(self, asker: AIOKafkaConsumer) -> None:
        # it is told of these on and on, whether or not somebody has partitions of them
        told = asker._client.set_topics([topic for one in self._watched for topic in one.topics])
        while not await told:
            await asyncio.sleep(self._settings.watch_every_ms / 1000)
            told = asker._client.force_metadata_update()
        while True:
            for one, progress in self._watched.items():
                await self._look(asker, one, progress)
            await asyncio.sleep(self._settings.watch_every_ms / 1000)

    async def _look(self, asker: AIOKafkaConsumer, one: Watched, progress: Progress) -> None:
        """Raises ConsumerStopped."""
        self._look_for_topics(asker, one)
        try:
            async with asyncio.timeout(_ASK_S):
                places = await one.places()
        except (*CLIENT_ERRORS, WeirError):
            # it does not even say where it stands: then it has not moved, as far as anybody knows
            places = progress.places
        ends, now_s = await self._ends(asker, one.name, places), time.monotonic()
        progress.look(now_s, places, ends, excused=one.waits() or not ends)
        found = progress.still(now_s)
        if found is not None and found[1] > self._settings.stuck_after_ms / 1000:
            raise ConsumerStopped(
                f"consumer {one.name} has read nothing of {found[0].topic}/{found[0].partition} for {found[1]:.0f} s, "
                f"and {progress.lag[found[0]]} records wait there; this process ends and begins anew")

    def _look_for_topics(self, asker: AIOKafkaConsumer, one: Watched) -> None:
        """A client that reads a topic goes on as if nothing were written when it is no more."""
        cluster = asker._client.cluster
        for topic in one.topics:
            if cluster.partitions_for_topic(topic) is not None or topic in cluster.unauthorized_topics:
                self._gone.discard(topic)
            elif topic not in self._gone:
                self._gone.add(topic)
                log.error("%s cannot be read: %s", topic, _NO_TOPIC, extra={"action": actions.STREAM_LOST})

    async def _ends(self, asker: AIOKafkaConsumer, name: str, places: Places) -> Places:
        """Nothing when the broker does not answer: then no consumer is to blame."""
        if not places:
            return {}
        try:
            async with asyncio.timeout(_ASK_S):
                found: Places = await asker.end_offsets(list(places))
        except CLIENT_ERRORS as exc:
            if any(place.topic in self._gone for place in places):
                return {}
            self._silent_since_s = self._silent_since_s or time.monotonic()
            log.warning("the ends of what %s reads cannot be had: %r", name, exc,
                        extra={"action": actions.KAFKA_RETRY})
            return {}
        self._silent_since_s = None
        return found

    def _lags(self) -> Mapping[tuple[str, ...], float]:
        return {(partition.topic, str(partition.partition)): lag for progress in self._watched.values()
                for partition, lag in progress.lag.items()}

    def _oldest(self) -> Mapping[tuple[str, ...], float]:
        now_s = time.monotonic()
        return {(one.name,): max(one.oldest_s(), found[1] if (found := progress.still(now_s)) else 0.0)
                for one, progress in self._watched.items()}
