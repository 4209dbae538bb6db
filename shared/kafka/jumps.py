"""Notice where a group does not go on where it stopped: records that are gone, or that come again.

In:    what is committed of a partition, what each poll brings of it.
Out:   a log line, with what the operator can look for.
Never: a wait of whoever polls; another place than the one that the client took.

Offsets have gaps where a transaction of a publisher ended, so what is missing is looked for in a partition's first poll
alone, and there the broker is asked whether it has forgotten it. An offset that goes back has one reason only.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka.faults import CLIENT_ERRORS
from shared.kafka.record import Record
from shared.names import actions
from shared.runtime.tasks import Tasks

log = logging.getLogger(__name__)


class Jumps:
    """Of the partitions of one member."""

    def __init__(self, group: str, tasks: Tasks) -> None:
        """No partitions."""
        self._group, self._tasks = group, tasks
        self._next: dict[TopicPartition, int] = {}
        self._fresh: set[TopicPartition] = set()

    def begin(self, committed: Mapping[TopicPartition, int]) -> None:
        """These partitions go on from there."""
        self._next.update(committed)
        self._fresh.update(committed)

    def end(self, partitions: Iterable[TopicPartition]) -> None:
        """They are another member's."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._fresh.discard(partition)

    def look(self, consumer: AIOKafkaConsumer, partition: TopicPartition, found: Sequence[Record]) -> None:
        """Take in what a poll has brought of a partition."""
        expected, first, fresh = self._next.get(partition), found[0].offset, partition in self._fresh
        self._next[partition] = found[-1].offset + 1
        self._fresh.discard(partition)
        if expected is None or first == expected:
            return
        if first < expected:
            log.error("group %s had read %s/%d up to %d and goes on from %d: the topic has lost its newest records or "
                      "was made anew. What was done is done again, but for calls whose deadline is over, durable ones "
                      "and those with an idempotency key; calls that get the places of counted ones are not counted",
                      self._group, partition.topic, partition.partition, expected, first,
                      extra={"action": actions.STREAM_LOST, "topic": partition.topic})
        elif fresh:
            self._tasks.spawn(self._ask(consumer, partition, expected), "look for lost records")

    async def _ask(self, consumer: AIOKafkaConsumer, partition: TopicPartition, expected: int) -> None:
        try:
            start: int = (await consumer.beginning_offsets([partition]))[partition]
        except CLIENT_ERRORS as exc:
            log.warning("the beginning of %s/%d cannot be had: %r", partition.topic, partition.partition, exc,
                        extra={"action": actions.KAFKA_RETRY})
            return
        if start > expected:
            log.error("group %s: %d records of %s/%d were gone before they were read, from %d on: the topic keeps them "
                      "for a shorter time (retention.ms) than nobody read", self._group, start - expected,
                      partition.topic, partition.partition, expected,
                      extra={"action": actions.STREAM_LOST, "topic": partition.topic})
