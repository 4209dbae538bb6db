"""An answer on `weir.replies`, or on a caller's own reply topic.

In:    the outcome of a request.
Out:   `ReplyRecord`, both ways.
Never: the address: that is `ReplyAddress`, whose dialect decides under which key the correlation id goes back.

Value: the reply body, raw. Headers: the correlation id, `weir-request-id`, `weir-status` (decimal), `weir-headers`
JSON {name: value}, `weir-timing` JSON {hop: microseconds}, `content-type`, `traceparent`. Of one that failed or was
slow: `weir-client`, and in `weir-timing` the steps of the workflow as `step <id>`.

An answer with events comes in parts, all on one partition: `weir-sequence` (decimal, from 0), `weir-event` (its name),
and on the last one `weir-last` (true).
"""

from collections.abc import Mapping
from typing import Self

import orjson
from msgspec import Struct

from shared.contracts import codec
from shared.errors import BadRecord, WeirError, problem
from shared.names import headers as H

_TEXTS = (H.REQUEST_ID, H.CONTENT_TYPE, H.TRACEPARENT, H.EVENT, H.CLIENT)


class ReplyRecord(Struct, frozen=True, kw_only=True):
    """One answer, or a part of one. Timing: microseconds per hop, queue times under `<hop>-queue`.

    `placed_ms`: when its record was placed in the topic, unix ms; known to the reader alone.
    """

    request_id: str
    status: int
    body: bytes = b""
    content_type: str | None = H.JSON
    headers: dict[str, str] = {}
    timing: dict[str, int] = {}
    traceparent: str | None = None
    sequence: int | None = None
    last: bool = False
    event: str = ""
    client: str = ""
    placed_ms: int = 0

    @classmethod
    def of_json(cls, request_id: str, status: int, doc: object, headers: dict[str, str]) -> Self:
        """An answer of Weir's own."""
        return cls(request_id=request_id, status=status, body=orjson.dumps(doc), headers=headers)

    def to_headers(self) -> list[tuple[str, bytes]]:
        """The record's headers but for the correlation id."""
        out = [(H.REQUEST_ID, self.request_id.encode()), (H.STATUS, b"%d" % self.status)]
        if self.headers:
            out.append((H.REPLY_HEADERS, orjson.dumps(self.headers)))
        if self.timing:
            out.append((H.TIMING, orjson.dumps(self.timing)))
        if self.content_type is not None:
            out.append((H.CONTENT_TYPE, self.content_type.encode()))
        if self.traceparent is not None:
            out.append((H.TRACEPARENT, self.traceparent.encode()))
        if self.client:
            out.append((H.CLIENT, self.client.encode()))
        if self.sequence is not None:
            out += [(H.SEQUENCE, b"%d" % self.sequence), (H.EVENT, self.event.encode())]
            if self.last:
                out.append((H.LAST, b"true"))
        return out

    @classmethod
    def from_headers(cls, headers: codec.HeaderMap, body: bytes | None, placed_ms: int = 0) -> Self:
        """Read a record. Raises BadRecord."""
        status = codec.integer(headers, H.STATUS)
        if status is None or not 100 <= status <= 599:
            raise BadRecord(f"header {H.STATUS} is not an HTTP status: {status}")
        text = codec.texts(headers, _TEXTS).get
        return cls(request_id=text(H.REQUEST_ID, ""), status=status, body=body or b"",
                   content_type=text(H.CONTENT_TYPE),
                   headers=codec.decoded(headers, H.REPLY_HEADERS, codec.TEXT_BY_NAME) or {},
                   timing=codec.decoded(headers, H.TIMING, codec.TIMING) or {},
                   traceparent=text(H.TRACEPARENT), sequence=codec.integer(headers, H.SEQUENCE),
                   last=H.LAST in headers, event=text(H.EVENT, ""), client=text(H.CLIENT, ""), placed_ms=placed_ms)


def error_reply(error: WeirError, request_id: str, *, timing: dict[str, int] | None = None,
                traceparent: str | None = None, headers: Mapping[str, str] | None = None,
                client: str = "") -> ReplyRecord:
    """The problem+json answer of an error; `headers` beside its own."""
    return ReplyRecord(request_id=request_id, status=error.status, content_type=H.PROBLEM_JSON,
                       body=orjson.dumps(problem(error, request_id), default=str),
                       headers={**(headers or {}), **error.headers}, timing=timing or {}, traceparent=traceparent,
                       client=client)
