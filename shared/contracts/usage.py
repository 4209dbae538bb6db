"""Usage events and the envelopes that carry them on `weir.usage`.

In:    how a request ended.
Out:   `UsageEvent`, `Envelope`, both ways.
Never: addresses, bodies, headers of a caller.

Value of an envelope: JSON array of events. Headers: `weir-producer` (hex nonce of the producing process) and
`weir-sequence` (decimal, from 0, per producer).

An event of kind `request` says how a request ended, exactly one per request; a `delivery` event says what only the
ingress knows about it (a wait that ran out, a caller gone). `observed` lists what policies that only
report would have done, as `<policy>:<outcome>`. `origin` is the place of the request record
(`topic/partition/offset`), by which a repeated event is known; null for requests that ended at the edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import orjson

from shared.contracts import codec
from shared.contracts.origin import Origin
from shared.errors import BadRecord
from shared.names import headers as H

Kind = Literal["request", "delivery"]
_TEXTS = ("kind", "id", "project", "operation", "client", "source", "reason")
_NUMBERS = ("time", "status", "tasks", "bytes_in", "bytes_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEvent:
    """Times in unix ms, sizes in bytes, `timing` in microseconds per hop."""

    kind: Kind
    id: str
    time: int
    project: str
    operation: str
    client: str
    source: str
    status: int
    reason: str
    tasks: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    timing: dict[str, int] = field(default_factory=dict)
    trace_id: str | None = None
    origin: str | None = None
    observed: list[str] = field(default_factory=list)

    @classmethod
    def from_doc(cls, doc: Any) -> Self:
        """Read one event. Raises BadRecord that names the member."""
        if not isinstance(doc, dict):
            raise BadRecord("a usage event is not a JSON object")
        for name in _TEXTS:
            if not isinstance(doc.get(name), str):
                raise BadRecord(f"usage event: {name} is missing or not a text")
        for name in _NUMBERS:
            value = doc.get(name, 0)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
                raise BadRecord(f"usage event: {name} is not a number from 0 to 2^53")
        if doc["kind"] not in ("request", "delivery"):
            raise BadRecord(f"usage event: kind {doc['kind'][:20]!r} is not request or delivery")
        observed = doc.get("observed", [])
        if not isinstance(observed, list) or not all(isinstance(outcome, str) for outcome in observed):
            raise BadRecord("usage event: observed is not a list of texts")
        if doc.get("origin") is not None:
            Origin.parse(str(doc["origin"]))
        known = {name: doc[name] for name in cls.__slots__ if name in doc}
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Events of one producer; sequence numbers of a producer run 0, 1, 2... without a gap."""

    producer: str
    sequence: int
    events: Sequence[UsageEvent]

    def to_record(self) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Value and headers."""
        return orjson.dumps(self.events), [(H.PRODUCER, self.producer.encode()), (H.SEQUENCE, b"%d" % self.sequence)]

    @classmethod
    def from_record(cls, value: bytes | None, headers: codec.HeaderMap) -> Self:
        """Read an envelope. Raises BadRecord."""
        docs = codec.load(value, "usage envelope")
        if not isinstance(docs, list):
            raise BadRecord("usage envelope is not a JSON array")
        sequence = codec.integer(headers, H.SEQUENCE)
        if sequence is None:
            raise BadRecord(f"header {H.SEQUENCE} is missing")
        return cls(producer=codec.required(headers, H.PRODUCER), sequence=sequence,
                   events=tuple(UsageEvent.from_doc(doc) for doc in docs))
