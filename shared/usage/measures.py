"""What is added up of requests that have all dimensions in common. Pure.

In:    usage events, stored counters.
Out:   sums that can be added to each other in any order, and quantiles of them.
Never: a single request.

How long requests took is kept as a histogram whose buckets grow by a tenth each: a quantile is right within 5 percent,
and histograms add up without a loss. A stored counter is a msgpack array; the ledger's script adds two of them.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import exp, log
from typing import Any

import msgspec
from msgspec import Struct

Row = list[Any]
# buckets per factor e
_FINENESS = 10
# a map of numbers from 2 on is no array to any msgpack library
_FIRST = 2


class Measures(Struct, array_like=True):
    """Sums. `micros`: time of all requests; `late`: callers that did not get the answer; `slots`: the histogram."""

    requests: int = 0
    tasks: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    micros: int = 0
    late: int = 0
    slots: dict[int, int] | list[int] = {}

    def add(self, other: "Measures") -> None:
        """Add another one to this."""
        self.requests += other.requests
        self.tasks += other.tasks
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.micros += other.micros
        self.late += other.late
        own = self.histogram
        for slot, count in other.histogram.items():
            own[slot] = own.get(slot, 0) + count

    def row(self) -> Row:
        """As a stored counter is."""
        return [self.requests, self.tasks, self.bytes_in, self.bytes_out, self.micros, self.late, self.slots]

    @classmethod
    def of(cls, rows: list[Row]) -> "Measures":
        """The sum of stored counters, column by column: a question reads thousands of them."""
        *numbers, histograms = zip(*rows, strict=True)
        slots: dict[int, int] = {}
        for histogram in histograms:
            # an empty one is a list
            for slot, count in histogram.items() if histogram else ():
                slots[slot] = slots.get(slot, 0) + count
        requests, tasks, bytes_in, bytes_out, micros, late = map(sum, numbers)
        return cls(requests, tasks, bytes_in, bytes_out, micros, late, slots)

    @property
    def histogram(self) -> dict[int, int]:
        """The histogram; an empty one is stored as a list."""
        if isinstance(self.slots, list):
            self.slots = {}
        return self.slots

    def quantiles(self, shares: Sequence[float]) -> list[int | None]:
        """Microseconds within which so large shares of the requests ended, in rising order; None when none was
        timed."""
        slots = sorted(self.histogram.items())
        bounds = list(accumulate(count for _, count in slots))
        if not bounds:
            return [None] * len(shares)
        return [middle_of(slots[bisect_left(bounds, share * bounds[-1])][0]) for share in shares]


def slot_of(micros: int) -> int:
    """The histogram's bucket for a time above zero."""
    return _FIRST + int(log(micros) * _FINENESS)


def middle_of(slot: int) -> int:
    """What a bucket's times are taken for."""
    return round(exp((slot - _FIRST + 0.5) / _FINENESS))


def total(parts: Iterable[Measures]) -> Measures:
    """The sum of some."""
    result = Measures()
    for part in parts:
        result.add(part)
    return result


_ROW = msgspec.msgpack.Decoder(list)
_DECODER = msgspec.msgpack.Decoder(Measures)
ENCODER = msgspec.msgpack.Encoder()


def row(value: bytes) -> Row:
    """A stored counter as it is: six numbers and a histogram."""
    return _ROW.decode(value)


def stored(value: bytes) -> Measures:
    """Read a stored counter."""
    return _DECODER.decode(value)
