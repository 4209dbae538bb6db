"""Turn envelopes into sums. Pure.

In:    envelopes with their places on the topic, and what the store is known to have counted already.
Out:   sums by project, minute and dimensions; what has to be remembered as counted; the events that are new.
Never: a decision whether the store has seen an event; the ledger asks it, and folds again with what it says.

An envelope counts as a whole, once, by its producer and sequence number; in it a request with a record of its own
counts once by that record's place. Order and division of events do not matter.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.analytics import loops
from shared.contracts.usage import Envelope, UsageEvent
from shared.usage.buckets import MINUTE_MS
from shared.usage.measures import Measures, slot_of

# requests that are counted together: project, minute since the epoch, and the dimensions: operation, client, source,
# status, reason; no named tuple, for one is made for every event
Group = tuple[str, int, str, str, str, int, str]
_NONE: frozenset[int] = frozenset()
ENVELOPES = "envelope/"


class Placed(NamedTuple):
    """A record of the usage topic; `envelope` is None where it was none: its place counts as read all the same."""

    partition: int
    offset: int
    envelope: Envelope | None


@dataclass(slots=True)
class Known:
    """What the store has: offset by partition, numbers by place."""

    offsets: dict[int, int] = field(default_factory=dict)
    numbers: dict[str, set[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Folded:
    """`records`: how many of the batch are in it. `places`: first and last offset by partition. `seen`: what is new, by
    place. `requests`, `deliveries`: the events that are new."""

    records: int = 0
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    seen: dict[str, set[int]] = field(default_factory=dict)
    sums: dict[Group, Measures] = field(default_factory=dict)
    requests: list[UsageEvent] = field(default_factory=list)
    deliveries: list[UsageEvent] = field(default_factory=list)
    envelopes: int = 0
    repeated_envelopes: int = 0
    repeated_events: int = 0


def fold(batch: Iterable[Placed], known: Known, most_sums: int = sys.maxsize) -> Folded:
    """Sums of what the store does not have; it ends before a record when it has so many sums."""
    result = Folded()
    for partition, offset, envelope in batch:
        if len(result.sums) >= most_sums:
            break
        result.records += 1
        if offset <= known.offsets.get(partition, -1):
            continue
        first, last = result.places.get(partition, (offset, offset))
        result.places[partition] = min(first, offset), max(last, offset)
        if envelope is None:
            continue
        place = ENVELOPES + envelope.producer
        if _is_new(result.seen, known.numbers, place, envelope.sequence):
            result.envelopes += 1
            _take(result, known.numbers, envelope.events)
        else:
            result.repeated_envelopes += 1
    return result


def _is_new(seen: dict[str, set[int]], known: Mapping[str, set[int]], place: str, number: int) -> bool:
    numbers = seen.get(place)
    if numbers is None:
        numbers = seen[place] = set()
    if number in numbers or (known and number in known.get(place, _NONE)):
        return False
    numbers.add(number)
    return True


def _take(result: Folded, known: dict[str, set[int]], events: Sequence[UsageEvent]) -> None:
    if loops.BUILT:
        loops.take(tuple(events), result.seen, known, result.sums, result.requests,
                   lambda event: _take_each(result, known, (event,)))
    else:
        _take_each(result, known, events)


def _take_each(result: Folded, known: dict[str, set[int]], events: Iterable[UsageEvent]) -> None:
    """Written out in one loop, which `quick.c` has as well for plain events."""
    seen, sums, requests = result.seen, result.sums, result.requests
    for event in events:
        request = event.kind == "request"
        if request and event.origin is not None:
            place, _, number = event.origin.rpartition("/")
            if not _is_new(seen, known, place, int(number)):
                result.repeated_events += 1
                continue
        group = (event.project, event.time // MINUTE_MS, event.operation, event.client, event.source, event.status,
                 event.reason)
        sum_ = sums.get(group)
        if sum_ is None:
            sum_ = sums[group] = Measures()
        if not request:
            result.deliveries.append(event)
            sum_.late += 1
            continue
        requests.append(event)
        sum_.requests += 1
        sum_.tasks += event.tasks
        sum_.bytes_in += event.bytes_in
        sum_.bytes_out += event.bytes_out
        micros = sum(event.timing.values())
        if micros:
            sum_.micros += micros
            slot, slots = slot_of(micros), sum_.slots
            slots[slot] = slots.get(slot, 0) + 1  # type: ignore[union-attr]  # a dict as long as it is not stored
