"""The door of the webhook sink: envelopes in, batches out, in the order of each partition.

In:    polls of the usage topic.
Out:   CloudEvents; records are finished when the webhook has taken their events.
Never: a record committed before; an envelope that cannot be read passed over in silence.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Sequence

from services.sinks.cloud_events import batches
from services.sinks.settings import SinkSettings
from services.sinks.webhook import Webhook
from shared.contracts.codec import header_map
from shared.contracts.usage import Envelope, UsageEvent
from shared.contracts.usage_filter import event_fits
from shared.errors import BadRecord
from shared.kafka.intake import Intake
from shared.kafka.record import Record
from shared.names import actions
from shared.runtime.tasks import Tasks
from shared.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
Taken = tuple[Record, Sequence[UsageEvent]]


def events_of(record: Record, settings: SinkSettings, metrics: Metrics) -> list[UsageEvent]:
    """The events of a record that a sink is to see."""
    try:
        envelope = Envelope.from_record(record.value, header_map(record.headers))
    except BadRecord as exc:
        metrics.sink_events.inc("unreadable")
        log.warning("envelope %s/%d/%d is passed over: %s", record.topic, record.partition, record.offset, exc,
                    extra={"action": actions.RECORD_DEAD})
        return []
    return [event for event in envelope.events if event_fits(settings.where, event)]


class WebhookDoor:
    """Hands on what comes, one batch at a time: while one is under way the next one fills."""

    def __init__(self, settings: SinkSettings, intake: Intake, webhook: Webhook, tasks: Tasks,
                 metrics: Metrics) -> None:
        """Works once started."""
        self._settings, self._intake, self._webhook = settings, intake, webhook
        self._tasks, self._metrics = tasks, metrics
        self._waiting: deque[Taken] = deque()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Deliver what comes."""
        self._task = self._tasks.spawn(self._work(), "webhook")

    async def stop(self) -> None:
        """What has not been taken comes again."""
        await self._tasks.end(self._task)

    def handle(self, records: Sequence[Record]) -> None:
        """Take a poll."""
        self._waiting.extend((record, events_of(record, self._settings, self._metrics)) for record in records)
        self._more.set()

    async def _work(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                records, events = self._next()
                name = _message_id(self._settings.name, records)
                for number, body in enumerate(batches(events, self._settings.batch_events,
                                                      self._settings.max_body_bytes)):
                    await self._webhook.deliver(f"{name}_{number}", body)
                self._metrics.sink_events.inc("delivered", by=len(events))
                self._intake.finished(records)

    def _next(self) -> tuple[list[Record], list[UsageEvent]]:
        records: list[Record] = []
        events: list[UsageEvent] = []
        while self._waiting and len(events) < self._settings.batch_events:
            record, found = self._waiting.popleft()
            records.append(record)
            events.extend(found)
        return records, events


def _message_id(name: str, records: Sequence[Record]) -> str:
    """The same again for the same records."""
    places = ";".join(f"{record.partition}/{record.offset}" for record in records)
    return f"usage_{hashlib.blake2b(f'{name};{places}'.encode(), digest_size=12).hexdigest()}"
