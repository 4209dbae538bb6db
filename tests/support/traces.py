"""Traces of a running cluster, read back by the official classes of OTLP."""

from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.names import spans, topics
from tests.support.platform import Platform, eventually

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5


@dataclass
class Read:
    """One span as the decoder gives it."""

    service: str
    raw: Any
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.raw.name)

    @property
    def events(self) -> list[str]:
        return [str(event.name) for event in self.raw.events]


class Spans:
    """All spans of the topic; `read` goes on from where it was."""

    def __init__(self, platform: Platform) -> None:
        self._platform, self._offset = platform, 0
        self.by_trace: dict[str, list[Read]] = {}
        self.linked: dict[str, list[Read]] = {}

    async def read(self) -> None:
        """What has come meanwhile."""
        place = TopicPartition(topics.SPANS, 0)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._platform.bootstrap, group_id=None)
        await consumer.start()
        try:
            consumer.assign([place])
            consumer.seek(place, self._offset)
            end = (await consumer.end_offsets([place]))[place]
            while self._offset < end:
                for record in (await consumer.getmany(place, timeout_ms=500)).get(place, ()):
                    self._take(ExportTraceServiceRequest.FromString(record.value))
                    self._offset = record.offset + 1
        finally:
            await consumer.stop()

    def _take(self, export: Any) -> None:
        for resource in export.resource_spans:
            service = _said(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                for raw in scope.spans:
                    one = Read(service, raw, _said(raw.attributes))
                    self.by_trace.setdefault(raw.trace_id.hex(), []).append(one)
                    for link in raw.links:
                        self.linked.setdefault(link.trace_id.hex(), []).append(one)

    async def of_request(self, request_id: str, *names: str) -> list[Read]:
        """The trace of a request, once the spans with these names are there (as often as they are named)."""
        found: list[list[Read]] = []

        async def whole() -> bool:
            await self.read()
            for trace in self.by_trace.values():
                if any(one.said.get(spans.REQUEST_ID) == request_id for one in trace):
                    found[:] = [trace]
                    there = [one.name for one in trace]
                    return all(there.count(name) >= names.count(name) for name in names)
            return False
        try:
            await eventually(whole, within_s=10, every_s=0.3)
        except AssertionError:
            raise AssertionError(f"of {request_id}, wanted {names}, there is {sorted(one.name for one in found[0])}"
                                 if found else f"no trace of {request_id}") from None
        return found[0]


def _said(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}
