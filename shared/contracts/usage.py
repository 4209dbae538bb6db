"""Usage events and the envelopes that carry them on `weir.usage`.

In:    how a request ended, and whose it was.
Out:   `UsageEvent`, `Envelope`, both ways.
Never: bodies, headers, whole paths, credentials of a caller.

Value of an envelope: JSON array of events. Headers: `weir-producer` (hex nonce of the producing process) and
`weir-sequence` (decimal, from 0, per producer); `weir-format` where it is not 1, the one described here. A value has at
most 512 KiB, those of our own producers have 64.

An event of kind `request` says how a request ended, exactly one per request; a `delivery` event says what only the
ingress knows about it (a wait that ran out, a caller gone). `observed` lists what policies that only
report would have done, as `<policy>:<outcome>`. `origin` is the place of the request record
(`topic/partition/offset`), by which a repeated event is known; null for requests that ended at the edge. `step` is the
one that failed, where one did. `span_id`: of who wrote the event, in the trace `trace_id`; null where that was not
sampled.

Four fields are for those who look for abuse; each is null where it is not known, or not to be kept. `address` is the
caller's, as the edge saw it; `token` the id of its token, which is no secret. `path` is the class of a path that led to
no operation (`paths.py`), `proof` tells refused credentials apart and says nothing about them.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta, Struct

from shared.contracts import codec
from shared.errors import BadRecord
from shared.names import headers as H

Kind = Literal["request", "delivery"]
# a year: whoever seems to have waited for longer has a record whose time is none
LONGEST_US = 2**45 - 1
# so much that all of a batch together fits into 64 bits, as its sums have to; no later than a date can be
Count = Annotated[int, Meta(ge=0, lt=2**40)]
Micros = Annotated[int, Meta(ge=0, le=LONGEST_US)]
Moment = Annotated[int, Meta(ge=0, lt=253_402_300_800_000)]
Status = Annotated[int, Meta(ge=0, lt=1_000)]
Timing = Annotated[dict[str, Micros], Meta(max_length=32)]
_PLACE, _LONGEST_PLACE = "[^/]+/[0-9]+/[0-9]+", 300
# said in the schema, and looked at by `_check_places`: msgspec takes three times as long for it
Place = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_PLACE}$", "maxLength": _LONGEST_PLACE})]


# plain values alone, so no cycle: the collector need not look at thousands of them
class UsageEvent(Struct, frozen=True, kw_only=True, gc=False):
    """Times in unix ms, sizes in bytes, `timing` in microseconds per hop."""

    kind: Kind
    id: str
    time: Moment
    project: str
    operation: str
    client: str
    source: str
    status: Status
    reason: str
    tasks: Count = 0
    bytes_in: Count = 0
    bytes_out: Count = 0
    timing: Timing = {}
    trace_id: str | None = None
    span_id: str | None = None
    origin: Place | None = None
    observed: list[str] = []
    step: str | None = None
    address: str | None = None
    token: str | None = None
    path: str | None = None
    proof: str | None = None


MAX_BYTES, LARGEST_EVENT = 524_288, 64_000
_MOST_OBSERVED = 100
_FORMAT = b"1"
_IS_PLACE = re.compile(_PLACE).fullmatch
_ENCODER = msgspec.json.Encoder()
_EVENTS = msgspec.json.Decoder(tuple[UsageEvent, ...])


class Envelope(Struct, frozen=True, kw_only=True):
    """Events of one producer; sequence numbers of a producer run 0, 1, 2... without a gap."""

    producer: str
    sequence: int
    events: Sequence[UsageEvent]

    def to_record(self) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Value and headers."""
        return packed(self.producer, self.sequence, [encoded(event) for event in self.events])

    @classmethod
    def from_record(cls, value: bytes | None, headers: codec.HeaderMap) -> Self:
        """Read an envelope. Raises BadRecord."""
        if headers.get(H.FORMAT, _FORMAT) != _FORMAT:
            raise BadRecord(f"header {H.FORMAT} is {headers[H.FORMAT][:40]!r}; this version reads format 1")
        if len(value or b"") > MAX_BYTES:
            raise BadRecord(f"usage envelope: {len(value or b'')} bytes, at most {MAX_BYTES} are read")
        events = codec.decode(value, _EVENTS, "usage envelope")
        _check_places(events)
        sequence = codec.integer(headers, H.SEQUENCE)
        if sequence is None:
            raise BadRecord(f"header {H.SEQUENCE} is missing")
        return cls(producer=codec.required(headers, H.PRODUCER), sequence=sequence,
                   events=events)


def _check_places(events: Sequence[UsageEvent]) -> None:
    is_place = _IS_PLACE
    for event in events:
        origin = event.origin
        if origin is not None and (is_place(origin) is None or len(origin) > _LONGEST_PLACE):
            raise BadRecord(f"usage envelope: the origin {origin[:80]!r} is no place like topic/partition/offset")


def encoded(event: UsageEvent) -> bytes:
    """An event on its own. What would be larger than an envelope by far says less of policies that only report."""
    found = _ENCODER.encode(event)
    return found if len(found) <= LARGEST_EVENT else _ENCODER.encode(
        msgspec.structs.replace(event, observed=event.observed[:_MOST_OBSERVED]))


def packed(producer: str, sequence: int, events: Sequence[bytes]) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers of an envelope with these events."""
    return b"[" + b",".join(events) + b"]", [(H.PRODUCER, producer.encode()), (H.SEQUENCE, b"%d" % sequence)]
