"""What has been counted already, one bit each. Pure.

In:    numbers of places: offsets of a request topic's partition, sequence numbers of a producer.
Out:   runs of bits to be set in the store, and numbers back from bits.
Never: a look into the store.

The bits of one place stand in pages of 64 Ki; within a page, in runs, so that one late number costs a few bytes.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

KEYS = "weir:seen:"
_PAGE_BITS = 16
PAGE = 1 << _PAGE_BITS
# bytes of zeros that are cheaper to send than a run of its own
_BRIDGE = 32


class Run(Struct, frozen=True):
    """Bits of one page from byte `start` on; the first bit of a byte is its highest."""

    place: str
    page: int
    start: int
    bits: bytes

    @property
    def key(self) -> str:
        """Where the page is stored."""
        return f"{KEYS}{self.place}:{self.page}"


def runs(place: str, numbers: Iterable[int]) -> Iterator[Run]:
    """The runs that hold these numbers of a place."""
    page, start, bits = -1, 0, bytearray()
    for number in sorted(numbers):
        here, byte = number >> _PAGE_BITS, (number & (PAGE - 1)) >> 3
        gap = byte - start - len(bits)
        if here != page or gap > _BRIDGE:
            if bits:
                yield Run(place, page, start, bytes(bits))
            page, start, bits, gap = here, byte, bytearray(), 0
        if gap >= 0:
            bits.extend(bytes(gap + 1))
        bits[-1] |= 0x80 >> (number & 7)
    if bits:
        yield Run(place, page, start, bytes(bits))


def numbers(run: Run, bits: bytes) -> Iterator[int]:
    """The numbers that these bits, in the place of the run's own, stand for."""
    first = run.page * PAGE + run.start * 8
    for at, byte in enumerate(bits):
        for low in range(8) if byte else ():
            if byte & (0x80 >> low):
                yield first + at * 8 + low
