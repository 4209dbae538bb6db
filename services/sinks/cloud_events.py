"""Usage events as CloudEvents 1.0. Pure.

In:    usage events.
Out:   JSON batches (`application/cloudevents-batch+json`), none larger than wanted.
Never: one id for two different events of a source.

An event that came twice on the topic, because its request was delivered twice, has the same id again. The ids of
requests from the edge are ours; those of records on the internal topic are their publishers', who may use one again:
the place of the record tells two requests apart, as it does for the counters.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.contracts.usage import UsageEvent

MEDIA = "application/cloudevents-batch+json"
REQUEST, DELIVERY = "weir.usage.request.v1", "weir.usage.delivery.v1"


def cloud_event(event: UsageEvent) -> dict[str, Any]:
    """One event; its data is the usage event as it stands on the topic."""
    request = event.kind == "request"
    at = datetime.fromtimestamp(event.time / 1000, UTC).isoformat(timespec="milliseconds")
    result = {
        "specversion": "1.0", "id": _id(event) if request else f"{event.id}/delivery",
        "source": f"/weir/{event.project}", "type": REQUEST if request else DELIVERY,
        "time": at.replace("+00:00", "Z"),
        "datacontenttype": "application/json", "data": event}
    if event.operation:
        result["subject"] = event.operation
    return result


def _id(event: UsageEvent) -> str:
    return event.id if event.source == "edge" or event.origin is None else f"{event.id}/{event.origin}"


def batches(events: Iterable[UsageEvent], most: int, max_bytes: int) -> Iterator[bytes]:
    """Bodies of requests, in the order of the events."""
    parts: list[bytes] = []
    size = 2
    for event in events:
        part = msgspec.json.encode(cloud_event(event))
        if parts and (len(parts) >= most or size + len(part) + 1 > max_bytes):
            yield b"[" + b",".join(parts) + b"]"
            parts, size = [], 2
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield b"[" + b",".join(parts) + b"]"
