"""An admitted request on its way to the executor, on `weir.executions`.

In:    what policy found out about a request.
Out:   `ExecutionRecord`, both ways.
Never: credentials of any kind: they end at policy.

Value: the request body, raw. Headers: `weir-execution`, a JSON object of the fields below but for the body, those that
have their default left out; `weir-request-id`, for whoever looks at records without knowing this one. Only policy and
executor write this topic, so one header is made and read at once where a request has one for each fact: it takes a
third of the time. The form of before, with a header for each fact, is still read (`execution_headers.py`).

`trigger` {method, path, query, headers, client, ip}, its values already coerced by the input schemas; `timing`
{hop: microseconds}; `observed`: outcomes of policies that only report; `answer_headers`: what the answer gets; `holds`:
keys of amounts that are given back when it ends; `once`: key of the signed message that it came by, which no other
request may hold; given back, too, unless the answer is 2xx; `claim` {key, digest, keep_ms} of the idempotency key;
`holder`: who has both, and its journal, where that is not the request's id alone;
`keep_ms`: for how long its result can be asked for; `answer_by_ms`: until when its caller waits, where the work may go
on after that; `spent`: tasks that were run before it was put aside; `accepted_ms`: when it came, of one that was put
aside or resumed, `resumed_ms`: when it was resumed last; `depth`: operations behind this one; `client` is empty for a
public call.
"""

from typing import Annotated, Any, Self, cast

import msgspec
from msgspec import Meta, Struct

from shared.contracts import codec, execution_headers
from shared.contracts.origin import Origin
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.usage import Count, Timing
from shared.errors import BadRecord
from shared.names import headers as H

Client = Annotated[str, Meta(max_length=codec.MAX_NAME)]


class ExecutionRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution to run; its id is the request id."""

    request_id: codec.Name
    project: codec.Name
    version: int
    operation: codec.Name
    client: Client
    source: codec.Name
    origin: Origin
    deadline_ms: int
    trigger: dict[str, Any] = {}
    timing: Timing = {}
    observed: tuple[str, ...] = ()
    answer_headers: dict[str, str] = {}
    holds: tuple[str, ...] = ()
    holder: str = ""
    once: str = ""
    claim: dict[str, Any] = {}
    keep_ms: int = 0
    answer_by_ms: int = 0
    spent: Count = 0
    accepted_ms: int = 0
    resumed_ms: int = 0
    depth: int = 0
    token: str = ""
    address: str = ""
    reply_to: ReplyAddress | None = None
    idempotency_key: str | None = None
    content_type: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    baggage: str | None = None
    body: bytes = b""

    @property
    def own_id(self) -> str:
        """What no other execution has: publishers choose request ids, and may choose one again."""
        return self.holder or self.request_id

    def to_headers(self) -> list[tuple[str, bytes]]:
        """The record's headers."""
        facts = msgspec.structs.replace(self, body=b"") if self.body else self
        return [(H.REQUEST_ID, self.request_id.encode()), (H.EXECUTION, _ENCODER.encode(facts))]

    @classmethod
    def from_headers(cls, headers: codec.HeaderMap, body: bytes | None) -> Self:
        """Read a record. Raises BadRecord."""
        facts = headers.get(H.EXECUTION)
        if facts is None:
            older = cls(**execution_headers.read(headers), body=body or b"")
            _check_claim(older.claim)
            return older
        made = codec.decode(facts, _DECODER, f"header {H.EXECUTION}")
        if "/" in made.origin.topic:
            raise BadRecord(f"header {H.EXECUTION}: {str(made.origin)[:80]!r} is not the place of a record")
        _check_claim(made.claim)
        msgspec.structs.force_setattr(made, "body", body or b"")
        return cast(Self, made)


class _Claim(Struct, frozen=True):
    """What a claim has, if it has anything."""

    key: Annotated[str, Meta(min_length=1)]
    digest: str
    keep_ms: Annotated[int, Meta(ge=1)]


def _check_claim(claim: dict[str, Any]) -> None:
    """Raises BadRecord: whoever keeps an answer needs all of it."""
    try:
        if claim:
            msgspec.convert(claim, _Claim)
    except msgspec.ValidationError as exc:
        raise BadRecord(f"the claim of an idempotency key is {{key, digest, keep_ms}}: {exc}") from exc


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ExecutionRecord)
