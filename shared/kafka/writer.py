"""The client that writes batches, and the one that takes its place.

In:    full batches and where they go; topics.
Out:   what the broker has acknowledged, or the client's error; the partitions of topics.
Never: a rule which batch goes when.

The client numbers the batches of a partition, those too that the broker refuses, and after one of these the broker
takes nothing more from it there: out of order. So who has been refused a batch goes on with a client that begins anew.
"""

import asyncio
import logging
import math
import time
from typing import Any

from aiokafka import AIOKafkaProducer

from shared.errors import WeirError
from shared.kafka import connect
from shared.kafka.faults import CLIENT_ERRORS, KafkaUnavailable, SendFailed, UnknownTopic, translate, was_refused
from shared.kafka.strangers import Strangers
from shared.names import actions
from shared.names.topics import NAMES
from shared.settings.kafka import KafkaSettings

log = logging.getLogger(__name__)
# the least time between two clients, and between two questions which partitions there are
_REST_S = 1.0
_PAUSE_S = 0.05


class Writer:
    """One client at a time."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Not connected yet."""
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        # whoever submits just now
        self._submitting: set[asyncio.Task[Any] | None] = set()
        # one client takes the other's place
        self._changes: set[asyncio.Task[None]] = set()
        self._changed_s = self._asked_s = -math.inf
        # of which the broker takes nothing more from the present client
        self._spoiled: set[tuple[str, int]] = set()
        self._strangers = Strangers()

    async def start(self) -> None:
        """Connect. Raises KafkaUnavailable."""
        self._producer = await connect.producer(self._settings)

    async def stop(self) -> None:
        """Deliver what was submitted, as far as the broker lets us, then disconnect."""
        if self._producer is None:
            return
        changes = tuple(self._changes)
        for change in changes:
            change.cancel()
        await asyncio.gather(*changes, return_exceptions=True)
        await self._producer.stop()

    def batch(self) -> Any:
        """An empty one, the client's own. Raises SendFailed."""
        return self._client().create_batch()

    async def submit(self, builder: Any, topic: str, partition: int) -> None:
        """Until the broker has it; it gets closed. Raises what the client does."""
        builder.close()
        me = asyncio.current_task()
        self._submitting.add(me)
        try:
            while (topic, partition) in self._spoiled:
                self._begin_anew(self._client())
                await asyncio.sleep(_PAUSE_S)
            producer = self._client()
            try:
                await (await producer.send_batch(builder, topic, partition=partition))
            except CLIENT_ERRORS as exc:
                if was_refused(exc):
                    if producer is self._producer:
                        self._spoiled.add((topic, partition))
                    self._begin_anew(producer)
                raise
        finally:
            self._submitting.discard(me)

    async def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic. Raises SendFailed where the broker knows none, KafkaUnavailable where it does not
        say."""
        producer = self._client()
        client = producer.client
        try:
            if topic not in NAMES:
                async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                    return await self._strangers.partitions(client, topic)
            found = await producer.partitions_for(topic)
        except UnknownTopic as exc:
            if topic not in NAMES:
                raise translate(exc, f"looking for the topic {topic}; whoever reads it has to make it") from exc
            # of a topic that was not written to yet the client says the same while no broker answers
            if not await client.force_metadata_update():
                raise KafkaUnavailable(f"looking for the topic {topic}: the broker does not answer") from exc
            found = client.cluster.partitions_for_topic(topic)
            if not found:
                raise translate(exc, f"looking for the topic {topic}; `weir up` and `python -m shared.kafka.topics` "
                                "make it") from exc
        except CLIENT_ERRORS as exc:
            raise translate(exc, f"looking for the topic {topic}") from exc
        # known by chance, where the client has asked for all there are, it would be lost with the next look
        client._topics.add(topic)
        return sorted(found)

    async def known(self, topic: str) -> list[int]:
        """The partitions, once a broker tells them: whoever sends says how long that may take. Raises SendFailed."""
        while True:
            try:
                return await self.partitions(topic)
            except KafkaUnavailable:
                await asyncio.sleep(_REST_S)

    def led(self, topic: str) -> list[int]:
        """Those of the known partitions that have a leader."""
        return sorted(self._client().client.cluster.available_partitions_for_topic(topic) or ())

    async def is_new(self, topic: str, partition: int) -> bool:
        """Whether a topic has a partition that it did not have when the client asked last, minutes ago maybe."""
        now_s = time.monotonic()
        if now_s - self._asked_s > _REST_S:
            self._asked_s = now_s
            await self._client().client.force_metadata_update()
        return partition in await self.partitions(topic)

    def _client(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise SendFailed("the outbox is not started")
        return self._producer

    def _begin_anew(self, refused: AIOKafkaProducer) -> None:
        """Go on with another client, once somebody was refused."""
        now_s = time.monotonic()
        if refused is self._producer and now_s - self._changed_s > _REST_S:
            # one at a time
            self._changed_s = math.inf
            change = asyncio.get_running_loop().create_task(self._change(refused))
            self._changes.add(change)
            change.add_done_callback(self._changes.discard)

    async def _change(self, refused: AIOKafkaProducer) -> None:
        try:
            self._producer = await connect.producer(self._settings)
        except WeirError as exc:
            # the next one that is refused tries again
            log.warning("%s", exc, extra={"action": actions.KAFKA_RETRY})
            return
        finally:
            self._changed_s = time.monotonic()
        self._spoiled.clear()
        # what it was given by now it delivers first
        under_way = [task for task in self._submitting if task is not None]
        if under_way:
            await asyncio.wait(under_way)
        await connect.quietly(refused.stop)
