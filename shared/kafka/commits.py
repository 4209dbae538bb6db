"""Commit what is finished, and find out whether this process is a member of its group still.

In:    a consumer, trackers of its partitions.
Out:   committed offsets, with what is finished above them; KafkaUnavailable where somebody else has the partitions.
Never: a bare `commit()`; an offset that nobody has taken counted as committed.
"""

import asyncio
import logging
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition

from shared.kafka.faults import CLIENT_ERRORS, KafkaUnavailable, is_text_too_long, is_unknown_member
from shared.kafka.offsets import OffsetTracker
from shared.names import actions
from shared.settings.kafka import KafkaSettings
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)


class Commits:
    """Of one member of a group."""

    def __init__(self, settings: KafkaSettings, metrics: Metrics, group: str, instance: str) -> None:
        """In no group yet."""
        self._settings, self._metrics = settings, metrics
        self._group, self._instance = group, instance
        # whether the broker takes what is told of the records above an offset
        self._tells = True
        # a commit did not end though the broker answers
        self._in_doubt = False
        # when the group took this member for one of its own, by the clock that never goes back
        self._member_s = -math.inf
        # when it did so for the first time
        self._joined_s = math.inf
        metrics.kafka_errors.inc("commit", by=0)

    def joined(self) -> None:
        """The group has taken this member for one of its own."""
        self._member_s = time.monotonic()
        self._joined_s = min(self._joined_s, self._member_s)

    async def commit(self, consumer: Any, held: Mapping[TopicPartition, OffsetTracker]) -> None:
        """What is finished since the last time; what cannot be committed now is, the next time.

        Raises KafkaUnavailable where this member has lost its place.
        """
        # a partition that comes back meanwhile has a tracker of its own, and what is committed of it may be further on
        trackers = dict(held)
        offsets = {partition: (place[0], place[1] if self._tells else "") for partition, tracker in trackers.items()
                   if (place := tracker.take_committable()) is not None}
        if not offsets:
            return
        # a second time there is less patience: by then somebody else may have the partitions
        within_ms = self._settings.session_timeout_ms // (2 if self._in_doubt else 1)
        try:
            async with asyncio.timeout(within_ms / 1000) as limit:
                await consumer.commit(offsets)
        except CLIENT_ERRORS as exc:
            self._metrics.kafka_errors.inc("commit")
            if is_unknown_member(exc):
                self._check_place(exc)
            answers = limit.expired() and await self._answers(consumer, offsets)
            if answers and self._in_doubt:
                # the client can lose the coordinator for good when a broker dies, and go on fetching: by now the group
                # has given the partitions to somebody else, and both would work on every record
                raise KafkaUnavailable(f"group {self._group}: no commit within {within_ms} ms though the broker "
                                       "answers; this member may be in it no more, so it ends and joins anew") from exc
            self._in_doubt = answers
            for partition, (offset, _) in offsets.items():
                trackers[partition].put_back(offset)
            log.warning("could not commit %s: %r", self._group, exc, extra={"action": actions.COMMIT_FAILED})
            if is_text_too_long(exc):
                self._tells = False
                log.warning("group %s goes on without: after a crash, what was finished behind open records is done "
                            "again; the broker's offset.metadata.max.bytes should be 4096, as it is unless it is set",
                            self._group, extra={"action": actions.COMMIT_FAILED})
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
                f"group {self._group}: {self._instance} was a member {since_s:.1f} s ago and is none now: another "
                "process has joined under this name, so this one ends. Give each process a WEIR_INSTANCE of its own"
                ) from error

    async def _answers(self, consumer: Any, asked: Iterable[TopicPartition]) -> bool:
        """Whether the broker is there: while it is not, no member of the group can commit, and nobody takes over."""
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                await consumer.end_offsets(list(asked))
        except CLIENT_ERRORS:
            return False
        return True
