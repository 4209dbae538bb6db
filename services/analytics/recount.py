"""Count a range again, from the topic, and compare. Pure.

In:    envelopes in the order in which the broker got them, stored counters.
Out:   what differs, counter by counter.
Never: the ledger's script or its bitmaps: what is checked does not check itself.

A request that was delivered twice has two events, and either may be the one that was counted: which came first is known
for one partition, not for two. Where they say different things, a counter may be off by as much, and not by more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from services.analytics.fold import ENVELOPES
from shared.contracts.query import Difference
from shared.contracts.usage import Envelope, UsageEvent
from shared.usage.buckets import Grain
from shared.usage.dimensions import Dimensions
from shared.usage.measures import Measures
from shared.usage.ranges import Bucket

_MEASURES = ("requests", "tasks", "bytes_in", "bytes_out", "micros", "late")
_MOST_SHOWN = 20
_PAGE_BITS = 16
Sums = Counter[str]
Leeway = dict[tuple["Place", str], int]


class Place(NamedTuple):
    """One counter."""

    project: str
    bucket: Bucket
    dimensions: Dimensions


class Recount:
    """Takes envelopes, one after the other; holds a bit for each event."""

    def __init__(self, buckets: Iterable[Bucket]) -> None:
        """`buckets`: what is counted; no two of them overlap."""
        self._buckets = frozenset(buckets)
        self._grains: tuple[Grain, ...] = tuple({grain: None for grain, _ in self._buckets})
        self._seen: dict[tuple[str, int], bytearray] = {}
        # requests that have several events; those events, once they are recalled
        self.again: set[str] = set()
        self._recalled: dict[str, list[UsageEvent]] = {}
        self.found: dict[Place, Sums] = {}
        self.events = self.repeated = 0

    def take(self, envelope: Envelope) -> None:
        """Count what is new in an envelope."""
        if not self._is_new(ENVELOPES + envelope.producer, envelope.sequence):
            self.repeated += len(envelope.events)
            return
        for event in envelope.events:
            self.events += 1
            if event.kind == "request" and event.origin is not None:
                place, _, number = event.origin.rpartition("/")
                if not self._is_new(place, int(number)):
                    self.repeated += 1
                    self.again.add(event.origin)
                    continue
            self._count(event)

    def _is_new(self, place: str, number: int) -> bool:
        page, bit = number >> _PAGE_BITS, number & ((1 << _PAGE_BITS) - 1)
        bits = self._seen.get((place, page))
        if bits is None:
            bits = self._seen[place, page] = bytearray(1 << (_PAGE_BITS - 3))
        new = not bits[bit >> 3] & (1 << (bit & 7))
        bits[bit >> 3] |= 1 << (bit & 7)
        return new

    def recall(self, envelope: Envelope) -> None:
        """The same envelopes once more, in any order: what do the events of such a request say?"""
        for event in envelope.events:
            if event.kind == "request" and event.origin in self.again:
                self._recalled.setdefault(event.origin, []).append(event)

    def leeway(self) -> Leeway:
        """How far each counter may be off: here and there, another event of a request may have been counted."""
        found: Leeway = {}
        for events in self._recalled.values():
            for place in {place for event in events if (place := self._place(event)) is not None}:
                sums = [amounts_of(event) if self._place(event) == place else Sums() for event in events]
                for name in _MEASURES:
                    here = [each[name] for each in sums]
                    found[place, name] = found.get((place, name), 0) + max(here) - min(here)
        return found

    def _count(self, event: UsageEvent) -> None:
        place = self._place(event)
        if place is not None:
            self.found.setdefault(place, Sums()).update(amounts_of(event))

    def _place(self, event: UsageEvent) -> Place | None:
        for grain in self._grains:
            bucket = grain, grain.index(event.time)
            if bucket in self._buckets:
                return Place(event.project, bucket, Dimensions(
                    event.operation, event.client, event.source, event.status, event.reason))
        return None


def as_sums(measures: Measures) -> Sums:
    """A stored counter, in the recount's form."""
    return Sums({name: getattr(measures, name) for name in _MEASURES})


def totals(found: Iterable[Sums]) -> dict[str, int]:
    """The sum of all counters."""
    total = Sums(dict.fromkeys(_MEASURES, 0))
    for sums in found:
        total.update(sums)
    return dict(total)


def amounts_of(event: UsageEvent) -> Sums:
    """What an event adds to its counter."""
    if event.kind != "request":
        return Sums(late=1)
    return Sums(requests=1, tasks=event.tasks, bytes_in=event.bytes_in, bytes_out=event.bytes_out,
                micros=sum(event.timing.values()))


def differences(counted: Mapping[Place, Sums], found: Mapping[Place, Sums],
                leeway: Leeway) -> tuple[int, list[Difference]]:
    """The sum of all differences beyond the leeway, and the first of them; the number of all requests has none."""
    shown: list[Difference] = []
    total = 0
    for beyond, difference in _each(counted, found, leeway):
        total += beyond
        if len(shown) < _MOST_SHOWN:
            shown.append(difference)
    requests = [sum(sums["requests"] for sums in some.values()) for some in (counted, found)]
    return max(total, abs(requests[0] - requests[1])), shown


def _each(counted: Mapping[Place, Sums], found: Mapping[Place, Sums],
          leeway: Leeway) -> Iterator[tuple[int, Difference]]:
    for place in sorted({*counted, *found}, key=lambda one: (one.project, one.bucket[1], one.dimensions)):
        for name in _MEASURES:
            left, right = counted.get(place, Sums())[name], found.get(place, Sums())[name]
            beyond = abs(left - right) - leeway.get((place, name), 0)
            if beyond > 0:
                grain, index = place.bucket
                yield beyond, Difference(time=grain.start(index), project=place.project,
                                         **place.dimensions._asdict(), measure=name, counted=left, recounted=right)
