"""An admitted request on its way to the executor, on `weir.executions`.

In:    what policy found out about a request.
Out:   `ExecutionRecord`, both ways.
Never: credentials of any kind: they end at policy.

Value: the request body, raw. Headers: `weir-request-id`, `weir-project`, `weir-version` (decimal), `weir-operation`,
`weir-client` (empty for a public call), `weir-token` (the id of its token) and `weir-address`, where usage is to say
them, `weir-source` (edge | internal), `weir-origin`, `weir-deadline`,
`weir-trigger` JSON {method, path, query, headers, client, ip} with values already coerced by the input schemas,
`weir-timing` JSON {hop: microseconds}, `weir-observed` (outcomes of policies that only report, by commas),
`weir-headers` JSON {name: value} that the answer gets, `weir-holds` (keys of amounts that are given back when it ends,
by commas), `weir-claim` JSON {key, digest, keep_ms} of the idempotency key, `weir-keep` (for how many milliseconds its
result can be asked for, decimal), `weir-depth` (operations behind this one, decimal), the reply address,
`idempotency-key`, `content-type`, trace context.
"""

from typing import Any, Self

import orjson
from msgspec import Struct

from shared.contracts import codec
from shared.contracts.origin import Origin
from shared.contracts.reply_address import ReplyAddress
from shared.names import headers as H


class ExecutionRecord(Struct, frozen=True, kw_only=True):
    """One execution to run; its id is the request id."""

    request_id: str
    project: str
    version: int
    operation: str
    client: str
    source: str
    origin: Origin
    deadline_ms: int
    trigger: dict[str, Any] = {}
    timing: dict[str, int] = {}
    observed: tuple[str, ...] = ()
    answer_headers: dict[str, str] = {}
    holds: tuple[str, ...] = ()
    claim: dict[str, Any] = {}
    keep_ms: int = 0
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

    def to_headers(self) -> list[tuple[str, bytes]]:
        """The record's headers."""
        out = [
            (H.REQUEST_ID, self.request_id.encode()), (H.PROJECT, self.project.encode()),
            (H.VERSION, b"%d" % self.version), (H.OPERATION, self.operation.encode()),
            (H.CLIENT, self.client.encode()), (H.SOURCE, self.source.encode()), (H.ORIGIN, str(self.origin).encode()),
            (H.DEADLINE, b"%d" % self.deadline_ms), (H.TRIGGER, orjson.dumps(self.trigger)),
            (H.TIMING, orjson.dumps(self.timing)),
        ]
        if self.observed:
            out.append((H.OBSERVED, ",".join(self.observed).encode()))
        if self.holds:
            out.append((H.HOLDS, ",".join(self.holds).encode()))
        if self.claim:
            out.append((H.CLAIM, orjson.dumps(self.claim)))
        if self.depth:
            out.append((H.DEPTH, b"%d" % self.depth))
        if self.keep_ms:
            out.append((H.KEEP, b"%d" % self.keep_ms))
        if self.answer_headers:
            out.append((H.REPLY_HEADERS, orjson.dumps(self.answer_headers)))
        for key, value in ((H.IDEMPOTENCY_KEY, self.idempotency_key), (H.CONTENT_TYPE, self.content_type),
                           (H.TRACEPARENT, self.traceparent), (H.TRACESTATE, self.tracestate),
                           (H.BAGGAGE, self.baggage), (H.TOKEN, self.token or None),
                           (H.ADDRESS, self.address or None)):
            if value is not None:
                out.append((key, value.encode()))
        if self.reply_to is not None:
            out.extend(self.reply_to.to_headers())
        return out

    @classmethod
    def from_headers(cls, headers: codec.HeaderMap, body: bytes | None) -> Self:
        """Read a record. Raises BadRecord."""
        text = codec.texts(headers, _TEXTS).get
        return cls(
            request_id=codec.named(H.REQUEST_ID, text(H.REQUEST_ID)), project=codec.named(H.PROJECT, text(H.PROJECT)),
            version=codec.integer(headers, H.VERSION) or 0, operation=codec.named(H.OPERATION, text(H.OPERATION)),
            client=(text(H.CLIENT) or "")[:codec.MAX_NAME], source=codec.named(H.SOURCE, text(H.SOURCE)),
            origin=Origin.from_headers(headers), deadline_ms=codec.integer(headers, H.DEADLINE) or 0,
            trigger=codec.json_object(headers, H.TRIGGER) or {},
            timing=codec.decoded(headers, H.TIMING, codec.TIMING) or {},
            observed=_listed(text(H.OBSERVED)), holds=_listed(text(H.HOLDS)),
            claim=codec.json_object(headers, H.CLAIM) or {}, keep_ms=codec.integer(headers, H.KEEP) or 0,
            depth=codec.integer(headers, H.DEPTH) or 0,
            answer_headers=codec.decoded(headers, H.REPLY_HEADERS, codec.TEXT_BY_NAME) or {},
            reply_to=ReplyAddress.from_headers(headers), idempotency_key=text(H.IDEMPOTENCY_KEY),
            content_type=text(H.CONTENT_TYPE), traceparent=text(H.TRACEPARENT),
            tracestate=text(H.TRACESTATE), baggage=text(H.BAGGAGE), token=text(H.TOKEN) or "",
            address=text(H.ADDRESS) or "", body=body or b"")


_TEXTS = (H.REQUEST_ID, H.PROJECT, H.OPERATION, H.CLIENT, H.SOURCE, H.OBSERVED, H.HOLDS, H.IDEMPOTENCY_KEY,
          H.CONTENT_TYPE, H.TRACEPARENT, H.TRACESTATE, H.BAGGAGE, H.TOKEN, H.ADDRESS)


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(filter(None, text.split(","))) if text else ()
