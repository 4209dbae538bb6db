"""Turn an envelope into what has to be added where. Pure.

In:    usage events.
Out:   groups (which buckets, which fields) and one row per event.
Never: a decision whether an event was seen before; the ledger takes that, atomically with the adding.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from services.analytics import buckets
from shared.contracts.origin import Origin
from shared.contracts.usage import UsageEvent

_BITS = 16
SEEN_SPAN = 1 << _BITS


@dataclass(slots=True)
class Increments:
    """`groups`: [bucket keys by grain, field prefix]. `events`: [group, seen key or "", bit, tasks, in, out]."""

    groups: list[tuple[list[str], str]] = field(default_factory=list)
    events: list[tuple[int, str, int, int, int, int]] = field(default_factory=list)

    def to_json(self) -> bytes:
        """The argument of the ledger's script."""
        return orjson.dumps({"groups": self.groups, "events": self.events})


def field_prefix(operation: str, client: str, status: int) -> str:
    """The dimensions of a counter as JSON, which no name can make ambiguous."""
    return orjson.dumps([operation, client, status]).decode()


def read_field(name: str) -> tuple[list[Any], str]:
    """Dimensions and measure of a counter's field."""
    return orjson.loads(name[:-1]), name[-1]


def fold(events: Iterable[UsageEvent]) -> Increments:
    """Requests are counted; deliveries repeat a request that is counted elsewhere, and are not."""
    result = Increments()
    known: dict[tuple[str, str], int] = {}
    for event in events:
        if event.kind != "request":
            continue
        prefix = field_prefix(event.operation, event.client, event.status)
        minute = buckets.key(event.project, buckets.MINUTE, event.time)
        group = known.get((minute, prefix))
        if group is None:
            group = known[minute, prefix] = len(result.groups)
            keys = [buckets.key(event.project, grain, event.time) for grain in buckets.GRAINS]
            result.groups.append((keys, prefix))
        seen, bit = _place(event.origin)
        result.events.append((group, seen, bit, event.tasks, event.bytes_in, event.bytes_out))
    return result


def _place(origin: str | None) -> tuple[str, int]:
    """The bitmap and the bit that remember a request record; an empty key for a request that has none."""
    if origin is None:
        return "", 0
    place = Origin.parse(origin)
    return f"weir:seen:{place.topic}:{place.partition}:{place.offset >> _BITS}", place.offset & (SEEN_SPAN - 1)
