"""The built-in trace store for one machine: bounded, in memory, rebuilt from the spans topic.

In:    `otlp_spans`.
Out:   the spans of a trace, by request id or trace id.
Never: a delay for whoever publishes spans; anything kept that the topic has forgotten for long.
"""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.kafka import connect
from shared.kafka.watchdog import Watched, places_of
from shared.names import actions, spans, topics
from shared.runtime.tasks import Tasks
from shared.settings.kafka import KafkaSettings

log = logging.getLogger(__name__)
_MAX_SPANS = 1_000
_ERROR = 2


@dataclass(slots=True, kw_only=True)
class SpanRow:
    """One span; times in unix microseconds."""

    service: str
    name: str
    span_id: str
    parent_id: str
    start_us: int
    end_us: int
    failed: bool
    attributes: dict[str, Any] = field(default_factory=dict)


class TraceStore:
    """The newest traces; the oldest goes when a new one does not fit."""

    def __init__(self, max_traces: int) -> None:
        """Empty."""
        self._max = max_traces
        self._traces: OrderedDict[str, list[SpanRow]] = OrderedDict()
        self._by_request: dict[str, str] = {}

    def add(self, payload: bytes) -> None:
        """Take in an OTLP export. Raises DecodeError."""
        for resource in ExportTraceServiceRequest.FromString(payload).resource_spans:
            service = next((item.value.string_value for item in resource.resource.attributes
                            if item.key == "service.name"), "")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self._put(span.trace_id.hex(), _row(service, span))

    def find(self, request_or_trace_id: str) -> tuple[str, list[SpanRow]] | None:
        """Trace id and spans, by start; None when neither id is known."""
        trace_id = self._by_request.get(request_or_trace_id, request_or_trace_id)
        rows = self._traces.get(trace_id)
        return None if rows is None else (trace_id, sorted(rows, key=lambda row: row.start_us))

    def _put(self, trace_id: str, row: SpanRow) -> None:
        rows = self._traces.setdefault(trace_id, [])
        if len(rows) < _MAX_SPANS:
            rows.append(row)
        request_id = row.attributes.get(spans.REQUEST_ID)
        if request_id:
            self._by_request[request_id] = trace_id
        while len(self._traces) > self._max:
            gone, old = self._traces.popitem(last=False)
            for row in old:
                known = row.attributes.get(spans.REQUEST_ID, "")
                if self._by_request.get(known) == gone:
                    del self._by_request[known]


class TraceFollower:
    """Feeds the store from the topic, from as far back as the topic goes."""

    def __init__(self, settings: KafkaSettings, tasks: Tasks, store: TraceStore) -> None:
        """Reads once started."""
        self._settings, self._tasks, self._store = settings, tasks, store
        self._consumer: AIOKafkaConsumer | None = None
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read; nobody waits for the end."""
        self._consumer = await connect.lone_consumer(self._settings)
        self._consumer.assign([TopicPartition(topics.SPANS, 0)])
        await self._consumer.seek_to_beginning()
        self._loop = self._tasks.spawn(self._run(self._consumer), "follow spans")

    async def stop(self) -> None:
        """Stop reading, disconnect."""
        await self._tasks.end(self._loop)
        if self._consumer is not None:
            await self._consumer.stop()

    @property
    def watched(self) -> Watched:
        """For the watchdog."""
        return Watched(name=topics.SPANS, places=lambda: places_of(self._consumer))

    async def _run(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000, max_records=100)).values():
                for record in records:
                    try:
                        self._store.add(record.value or b"")
                    except DecodeError:
                        log.warning("spans at offset %d are not OTLP", record.offset,
                                    extra={"action": actions.RECORD_DEAD})


def _row(service: str, span: Any) -> SpanRow:
    return SpanRow(service=service, name=span.name, span_id=span.span_id.hex(), parent_id=span.parent_span_id.hex(),
                   start_us=span.start_time_unix_nano // 1000, end_us=span.end_time_unix_nano // 1000,
                   failed=span.status.code == _ERROR,
                   attributes={item.key: _value(item.value) for item in span.attributes})


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
