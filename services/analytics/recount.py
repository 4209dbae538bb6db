"""Count a range again, from the topic, and compare. Pure.

In:    envelopes in the order in which the broker got them, stored counters.
Out:   what differs, counter by counter.
Never: the ledger's script or its bitmaps: what is checked does not check itself.

A request that was delivered twice has two events, and either may be the one that was counted; where they say different
things, the recount takes the one that fits the counters.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from services.analytics.buckets import Grain
from services.analytics.fold import ENVELOPES, Dimensions
from services.analytics.measures import Measures
from services.analytics.ranges import Bucket
from shared.contracts.query import Difference
from shared.contracts.usage import Envelope, UsageEvent

_MEASURES = ("requests", "tasks", "bytes_in", "bytes_out", "micros", "late")
_MOST_SHOWN = 20
_PAGE_BITS = 16
Sums = Counter[str]


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
        self._again: dict[str, list[UsageEvent]] = {}
        self._firsts: dict[str, UsageEvent] = {}
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
                    self._again.setdefault(event.origin, []).append(event)
                    continue
            self._count(event, 1)

    def _is_new(self, place: str, number: int) -> bool:
        page, bit = number >> _PAGE_BITS, number & ((1 << _PAGE_BITS) - 1)
        bits = self._seen.get((place, page))
        if bits is None:
            bits = self._seen[place, page] = bytearray(1 << (_PAGE_BITS - 3))
        new = not bits[bit >> 3] & (1 << (bit & 7))
        bits[bit >> 3] |= 1 << (bit & 7)
        return new

    @property
    def unclear(self) -> bool:
        """Whether requests with several events were found: which one was counted is not known yet."""
        return bool(self._again)

    def recall(self, envelope: Envelope) -> None:
        """The same envelopes once more, in the same order: which event of such a request was the first?"""
        for event in envelope.events:
            if event.kind == "request" and event.origin in self._again:
                self._firsts.setdefault(event.origin, event)

    def settle(self, counted: Mapping[Place, Sums]) -> None:
        """Of requests with several events take the one that was counted."""
        for origin, now in self._firsts.items():
            for other in self._again[origin]:
                before = self._off(counted, now, other)
                self._count(now, -1)
                self._count(other, 1)
                if self._off(counted, now, other) < before:
                    now = other
                else:
                    self._count(other, -1)
                    self._count(now, 1)

    def _off(self, counted: Mapping[Place, Sums], *events: UsageEvent) -> int:
        places = {place for event in events if (place := self._place(event)) is not None}
        return sum(abs(counted.get(place, Sums())[name] - self.found.get(place, Sums())[name])
                   for place in places for name in _MEASURES)

    def _count(self, event: UsageEvent, sign: int) -> None:
        place = self._place(event)
        if place is None:
            return
        sums = self.found.setdefault(place, Sums())
        if event.kind != "request":
            sums["late"] += sign
            return
        for name, amount in (("requests", 1), ("tasks", event.tasks), ("bytes_in", event.bytes_in),
                             ("bytes_out", event.bytes_out), ("micros", sum(event.timing.values()))):
            sums[name] += sign * amount

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


def differences(counted: Mapping[Place, Sums], found: Mapping[Place, Sums]) -> tuple[int, list[Difference]]:
    """The sum of all differences, and the first of them."""
    shown: list[Difference] = []
    total = 0
    for difference in _each(counted, found):
        total += abs(difference.counted - difference.recounted)
        if len(shown) < _MOST_SHOWN:
            shown.append(difference)
    return total, shown


def _each(counted: Mapping[Place, Sums], found: Mapping[Place, Sums]) -> Iterator[Difference]:
    for place in sorted({*counted, *found}, key=lambda one: (one.project, one.bucket[1], one.dimensions)):
        for name in _MEASURES:
            left, right = counted.get(place, Sums())[name], found.get(place, Sums())[name]
            if left != right:
                grain, index = place.bucket
                yield Difference(time=grain.start(index), project=place.project, **place.dimensions._asdict(),
                                 measure=name, counted=left, recounted=right)
