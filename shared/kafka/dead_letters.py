"""Move a record that cannot be used out of the way, with its bytes, its place and the error.

In:    a consumed record and what was wrong.
Out:   a record on `weir.dead-letters`.
Never: a stop of the partition; a secret in the copy.

A record at the broker's limit has no room for the headers of a letter, and the topic of letters may take less than the
record's own: then the letter names its place alone.
"""

import asyncio
import logging

from shared.clock import Clock
from shared.contracts.codec import header_map
from shared.contracts.dead_letter import DeadLetter
from shared.contracts.origin import Origin
from shared.kafka.faults import RecordTooLarge
from shared.kafka.outbox import Outbox
from shared.kafka.record import Record
from shared.names import actions, topics
from shared.names import headers as H
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
_MAX_ERROR = 2_000
_MAX_ID = 100


def told_by(record: Record) -> dict[str, str]:
    """What a log line says of a record that may not be readable: its ids, as far as it has any."""
    headers = header_map(record.headers)
    told = {"request_id": headers.get(H.REQUEST_ID), "traceparent": headers.get(H.TRACEPARENT)}
    return {key: value[:_MAX_ID].decode(errors="replace") for key, value in told.items() if value}


class DeadLetters:
    """Writes dead letters for one service."""

    def __init__(self, outbox: Outbox, metrics: Metrics, clock: Clock, service: str) -> None:
        """`service` is named in each letter."""
        self._outbox, self._metrics, self._clock, self._service = outbox, metrics, clock, service
        # an alert sees a number that grows, not one that appears
        for topic in topics.TOPICS:
            if service in topic.readers:
                metrics.dead.inc(topic.name, by=0)

    def bury(self, record: Record, error: str) -> asyncio.Future[None]:
        """Publish the letter; the future is done when it is acknowledged."""
        letter = DeadLetter(origin=Origin(record.topic, record.partition, record.offset), service=self._service,
                            error=error[:_MAX_ERROR], time_ms=self._clock.now_ms())
        self._metrics.dead.inc(record.topic)
        log.warning("record %s is dead: %s", letter.origin, letter.error,
                    extra={"action": actions.RECORD_DEAD, **told_by(record)})
        def note() -> asyncio.Future[None]:
            return self._outbox.send(topics.DEAD_LETTERS, None, letter.to_headers([(H.DEAD_CUT, b"true")]))
        try:
            return self._outbox.send(topics.DEAD_LETTERS, record.value, letter.to_headers(record.headers),
                                     key=record.key, instead=lambda: [note()])
        except RecordTooLarge:
            return note()
