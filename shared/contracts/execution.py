"""An admitted request on its way to the executor, on `weir.executions`.

In:    what policy found out about a request.
Out:   `ExecutionRecord`, both ways.
Never: credentials of any kind: they end at policy.

Value: the request body, raw. Headers: `weir-request-id`, `weir-project`, `weir-version` (decimal), `weir-operation`,
`weir-client` (empty for a public call), `weir-source` (edge | internal), `weir-origin`, `weir-deadline`,
`weir-trigger` JSON {method, path, query, headers, client, ip} with values already coerced by the input schemas,
`weir-timing` JSON {hop: microseconds}, `weir-observed` (outcomes of policies that only report, by commas),
`weir-headers` JSON {name: value} that the answer gets, `weir-holds` (keys of amounts that are given back when it ends,
by commas), `weir-claim` JSON {key, digest, keep_ms} of the idempotency key, the reply address, `idempotency-key`,
`content-type`, trace context.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from shared.contracts import codec
from shared.contracts.origin import Origin
from shared.contracts.reply_address import ReplyAddress
from shared.names import headers as H


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRecord:
    """One execution to run; its id is the request id."""

    request_id: str
    project: str
    version: int
    operation: str
    client: str
    source: str
    origin: Origin
    deadline_ms: int
    trigger: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, int] = field(default_factory=dict)
    observed: tuple[str, ...] = ()
    answer_headers: dict[str, str] = field(default_factory=dict)
    holds: tuple[str, ...] = ()
    claim: dict[str, Any] = field(default_factory=dict)
    reply_to: ReplyAddress | None = None
    idempotency_key: str | None = None
    content_type: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
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
        if self.answer_headers:
            out.append((H.REPLY_HEADERS, orjson.dumps(self.answer_headers)))
        for key, value in ((H.IDEMPOTENCY_KEY, self.idempotency_key), (H.CONTENT_TYPE, self.content_type),
                           (H.TRACEPARENT, self.traceparent), (H.TRACESTATE, self.tracestate)):
            if value is not None:
                out.append((key, value.encode()))
        if self.reply_to is not None:
            out.extend(self.reply_to.to_headers())
        return out

    @classmethod
    def from_headers(cls, headers: codec.HeaderMap, body: bytes | None) -> Self:
        """Read a record. Raises BadRecord."""
        return cls(
            request_id=codec.name(headers, H.REQUEST_ID), project=codec.name(headers, H.PROJECT),
            version=codec.integer(headers, H.VERSION) or 0, operation=codec.name(headers, H.OPERATION),
            client=(codec.text(headers, H.CLIENT) or "")[:codec.MAX_NAME], source=codec.name(headers, H.SOURCE),
            origin=Origin.from_headers(headers), deadline_ms=codec.integer(headers, H.DEADLINE) or 0,
            trigger=codec.json_object(headers, H.TRIGGER) or {}, timing=codec.json_object(headers, H.TIMING) or {},
            observed=_listed(headers, H.OBSERVED), holds=_listed(headers, H.HOLDS),
            claim=codec.json_object(headers, H.CLAIM) or {},
            answer_headers=codec.json_object(headers, H.REPLY_HEADERS) or {},
            reply_to=ReplyAddress.from_headers(headers), idempotency_key=codec.text(headers, H.IDEMPOTENCY_KEY),
            content_type=codec.text(headers, H.CONTENT_TYPE), traceparent=codec.text(headers, H.TRACEPARENT),
            tracestate=codec.text(headers, H.TRACESTATE), body=body or b"")


def _listed(headers: codec.HeaderMap, key: str) -> tuple[str, ...]:
    return tuple(filter(None, (codec.text(headers, key) or "").split(",")))
