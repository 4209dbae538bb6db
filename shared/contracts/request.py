"""A request on `weir.requests.edge` or `weir.requests.internal`.

In:    record headers and value.
Out:   `RequestRecord`; `to_headers` for those who publish one.
Never: trust: facts that only the edge can know (`weir-http`) are dropped when the record is internal.

Value: the request body, raw. Headers (UTF-8 but for the correlation id):
`weir-request-id` UUID, made by the reader when absent, the same at each delivery of the record; `weir-project`; either
`weir-operation` or `weir-method` and `weir-path` (a query string may follow the path); `weir-params` JSON object, path
and query parameters by name, beside `weir-operation`; `weir-http` JSON {method, path, query: {name: [value]}, headers:
{name: value}, client_ip, certificate}, edge only (`certificate`: the subject that a trusted proxy tells);
`weir-sealed` credentials for policy alone, AES-GCM, edge only; `weir-deadline` unix ms; the reply address;
`weir-token-digest` hex; `idempotency-key`; `content-type`; `prefer` (RFC 7240: `respond-async`, `wait=N`); trace
context.

The edge writes `weir-request` instead: a JSON object of the fields below but for the body, those that have their
default left out. It is made and read at once, which takes a quarter of the time; believed on the edge's topic alone.
`weir-request-id` stands beside it, for whoever looks at records without knowing this one.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Self, cast
from urllib.parse import parse_qs

import msgspec
import orjson
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from shared.contracts import codec, trace_headers
from shared.contracts.ids import is_request_id
from shared.contracts.reply_address import ReplyAddress
from shared.errors import BadRecord, InputInvalid
from shared.names import headers as H
from shared.project.media import is_json


class HttpFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the edge saw of the HTTP request; header names are lower case, secrets are not among them."""

    method: str = ""
    path: str = ""
    query: dict[str, list[str]] = {}
    headers: dict[str, str] = {}
    client_ip: str = ""
    certificate: str = ""

    def to_json(self) -> bytes:
        """The value of `weir-http`."""
        return msgspec.json.encode(self)


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header names in lower case; what is sent twice is one list, by commas (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


_FACTS = msgspec.json.Decoder(HttpFacts)
_TEXTS = (H.PROJECT, H.OPERATION, H.METHOD, H.PATH, H.REQUEST_ID, H.TOKEN_DIGEST, H.IDEMPOTENCY_KEY, H.CONTENT_TYPE,
          H.PREFER, H.TRACEPARENT, H.TRACESTATE, H.BAGGAGE)


class RequestRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request as its topic carries it. `request_id` and `deadline_ms` may be None: then the reader sets them."""

    project: codec.Name
    body: bytes = b""
    request_id: str | None = None
    operation: codec.Name | None = None
    method: str | None = None
    path: str | None = None
    params: dict[str, Any] = {}
    http: HttpFacts | None = None
    deadline_ms: Annotated[int, Meta(ge=0, lt=10**18)] | None = None
    reply_to: ReplyAddress | None = None
    token_digest: str | None = None
    sealed: str | None = None
    idempotency_key: str | None = None
    content_type: str | None = None
    prefer: str | None = None
    depth: int = 0
    traceparent: str | None = None
    tracestate: str | None = None
    baggage: str | None = None

    def to_headers(self) -> list[tuple[str, bytes]]:
        """The record's headers; absent fields have none."""
        out = [(H.PROJECT, self.project.encode())]
        for key, value in ((H.REQUEST_ID, self.request_id), (H.OPERATION, self.operation), (H.METHOD, self.method),
                           (H.PATH, self.path), (H.TOKEN_DIGEST, self.token_digest), (H.SEALED, self.sealed),
                           (H.IDEMPOTENCY_KEY, self.idempotency_key), (H.CONTENT_TYPE, self.content_type),
                           (H.PREFER, self.prefer), (H.TRACEPARENT, self.traceparent),
                           (H.TRACESTATE, self.tracestate), (H.BAGGAGE, self.baggage)):
            if value is not None:
                out.append((key, value.encode()))
        if self.params:
            out.append((H.PARAMS, orjson.dumps(self.params)))
        if self.http is not None:
            out.append((H.HTTP, self.http.to_json()))
        if self.depth:
            out.append((H.DEPTH, b"%d" % self.depth))
        if self.deadline_ms is not None:
            out.append((H.DEADLINE, b"%d" % self.deadline_ms))
        if self.reply_to is not None:
            out.extend(self.reply_to.to_headers())
        return out

    @classmethod
    def from_headers(cls, headers: codec.HeaderMap, body: bytes | None, *, edge: bool) -> Self:
        """Read a record. Raises BadRecord; whether the caller may write to the reply topic is not asked here."""
        facts = headers.get(H.REQUEST) if edge else None
        if facts is not None:
            return cast(Self, _enclosed(facts, body))
        text = codec.texts(headers, _TEXTS).get
        operation, method, path, request_id = text(H.OPERATION), text(H.METHOD), text(H.PATH), text(H.REQUEST_ID)
        _check(operation, method, path, request_id)
        if operation:
            codec.named(H.OPERATION, operation)
        state, baggage = text(H.TRACESTATE), text(H.BAGGAGE)
        if not edge:
            # nobody has looked at them, and they go on to outside systems, which refuse what is malformed or too long
            state = trace_headers.tracestate(state, text(H.TRACEPARENT))
            baggage = trace_headers.baggage(baggage)
        return cls(
            project=codec.named(H.PROJECT, text(H.PROJECT)), body=body or b"", operation=operation, method=method,
            path=path, request_id=request_id, params=codec.json_object(headers, H.PARAMS) or {},
            http=codec.decoded(headers, H.HTTP, _FACTS) if edge else None,
            deadline_ms=codec.integer(headers, H.DEADLINE), reply_to=ReplyAddress.from_headers(headers),
            token_digest=text(H.TOKEN_DIGEST), sealed=codec.text(headers, H.SEALED) if edge else None,
            idempotency_key=text(H.IDEMPOTENCY_KEY), content_type=text(H.CONTENT_TYPE), prefer=text(H.PREFER),
            depth=0 if edge else codec.integer(headers, H.DEPTH) or 0,
            traceparent=text(H.TRACEPARENT), tracestate=state, baggage=baggage)

    def addressed(self, address: ReplyAddress) -> list[tuple[str, bytes]]:
        """The record's headers, with the place where the answer goes."""
        return [*self.to_headers(), *address.to_headers()]

    def enclosed(self, address: ReplyAddress | None) -> list[tuple[str, bytes]]:
        """The headers of a record of the edge, with the place where the answer goes, if there is one."""
        facts = _ENCODER.encode(msgspec.structs.replace(self, body=b"", reply_to=address))
        known = [] if self.request_id is None else [(H.REQUEST_ID, self.request_id.encode())]
        return [*known, (H.REQUEST, facts)]

    def split_path(self) -> tuple[str, dict[str, list[str]]]:
        """`weir-path` as path and query."""
        path, _, query = (self.path or "").partition("?")
        return path, parse_qs(query, keep_blank_values=True)


def read_body(body: bytes, content_type: str | None) -> Any:
    """A request's body as a workflow sees it: what its JSON says, a text, or None without any.

    Raises InputInvalid: where an operation declares no body, nobody has looked at it before.
    """
    if not body:
        return None
    if is_json(content_type):
        try:
            return codec.load(body, "the request body")
        except BadRecord as exc:
            raise InputInvalid(str(exc)) from exc
    return body.decode(errors="replace")


def _enclosed(facts: bytes, body: bytes | None) -> RequestRecord:
    made = codec.decode(facts, _DECODER, _WHAT)
    _check(made.operation, made.method, made.path, made.request_id)
    if made.reply_to is not None:
        made.reply_to.check()
    if body:
        force_setattr(made, "body", body)
    if made.depth:
        # only who calls from inside has something behind it
        force_setattr(made, "depth", 0)
    return made


def _check(operation: str | None, method: str | None, path: str | None, request_id: str | None) -> None:
    if not operation and not (method and path):
        raise BadRecord(f"the record names no operation: set {H.OPERATION}, or {H.METHOD} and {H.PATH}")
    if request_id is not None and not is_request_id(request_id):
        raise BadRecord(f"header {H.REQUEST_ID} is not a UUID: {request_id[:80]!r}; leave it out to get one")


_WHAT = f"header {H.REQUEST}"
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(RequestRecord)


def secret_headers_in(headers: codec.HeaderMap) -> list[str]:
    """Keys of the record that hold a raw secret; such a record is refused and never forwarded."""
    if H.SECRET_HEADERS.isdisjoint(map(str.lower, headers)):
        return []
    return sorted(key for key in headers if key.lower() in H.SECRET_HEADERS)
