"""A request on `weir.requests.edge` or `weir.requests.internal`.

In:    record headers and value.
Out:   `RequestRecord`; `to_headers` for those who publish one.
Never: trust: facts that only the edge can know (`weir-http`) are dropped when the record is internal.

Value: the request body, raw. Headers (UTF-8 but for the correlation id):
`weir-request-id` UUID, made by the reader when absent; `weir-project`; either `weir-operation` or `weir-method` and
`weir-path` (a query string may follow the path); `weir-params` JSON object, path and query parameters by name, beside
`weir-operation`; `weir-http` JSON {method, path, query: {name: [value]}, headers: {name: value}, client_ip,
certificate}, edge only (`certificate`: the subject that a trusted proxy tells); `weir-sealed` credentials for policy
alone, AES-GCM, edge only; `weir-deadline` unix ms; the reply address; `weir-token-digest` hex; `idempotency-key`;
`content-type`; trace context.
"""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs

import orjson

from shared.contracts import codec
from shared.contracts.ids import is_request_id
from shared.contracts.reply_address import ReplyAddress
from shared.errors import BadRecord
from shared.names import headers as H


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFacts:
    """What the edge saw of the HTTP request; header names are lower case, secrets are not among them."""

    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    client_ip: str = ""
    certificate: str = ""

    def to_json(self) -> bytes:
        """The value of `weir-http`."""
        doc: dict[str, Any] = {"method": self.method, "path": self.path, "query": self.query, "headers": self.headers,
                               "client_ip": self.client_ip}
        if self.certificate:
            doc["certificate"] = self.certificate
        return orjson.dumps(doc)

    @classmethod
    def from_json(cls, doc: dict[str, Any]) -> Self:
        """Read the value of `weir-http`."""
        facts = cls(method=doc.get("method", ""), path=doc.get("path", ""), query=doc.get("query", {}),
                    headers=doc.get("headers", {}), client_ip=doc.get("client_ip", ""),
                    certificate=doc.get("certificate", ""))
        if not (isinstance(facts.method, str) and isinstance(facts.path, str) and isinstance(facts.client_ip, str)
                and isinstance(facts.certificate, str)
                and _is_query(facts.query) and isinstance(facts.headers, dict)
                and all(isinstance(value, str) for value in facts.headers.values())):
            raise BadRecord(f"header {H.HTTP} has members of the wrong type; see the AsyncAPI document")
        return facts


def _is_query(query: object) -> bool:
    return isinstance(query, dict) and all(
        isinstance(values, list) and all(isinstance(value, str) for value in values) for values in query.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request as its topic carries it. `request_id` and `deadline_ms` may be None: then the reader sets them."""

    project: str
    body: bytes = b""
    request_id: str | None = None
    operation: str | None = None
    method: str | None = None
    path: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    http: HttpFacts | None = None
    deadline_ms: int | None = None
    reply_to: ReplyAddress | None = None
    token_digest: str | None = None
    sealed: str | None = field(default=None, repr=False)
    idempotency_key: str | None = None
    content_type: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    def to_headers(self) -> list[tuple[str, bytes]]:
        """The record's headers; absent fields have none."""
        out = [(H.PROJECT, self.project.encode())]
        for key, value in ((H.REQUEST_ID, self.request_id), (H.OPERATION, self.operation), (H.METHOD, self.method),
                           (H.PATH, self.path), (H.TOKEN_DIGEST, self.token_digest), (H.SEALED, self.sealed),
                           (H.IDEMPOTENCY_KEY, self.idempotency_key), (H.CONTENT_TYPE, self.content_type),
                           (H.TRACEPARENT, self.traceparent), (H.TRACESTATE, self.tracestate)):
            if value is not None:
                out.append((key, value.encode()))
        if self.params:
            out.append((H.PARAMS, orjson.dumps(self.params)))
        if self.http is not None:
            out.append((H.HTTP, self.http.to_json()))
        if self.deadline_ms is not None:
            out.append((H.DEADLINE, b"%d" % self.deadline_ms))
        if self.reply_to is not None:
            out.extend(self.reply_to.to_headers())
        return out

    @classmethod
    def from_headers(cls, headers: codec.HeaderMap, body: bytes | None, *, edge: bool) -> Self:
        """Read a record. Raises BadRecord; whether the caller may write to the reply topic is not asked here."""
        operation, method, path = (codec.text(headers, key) for key in (H.OPERATION, H.METHOD, H.PATH))
        if not operation and not (method and path):
            raise BadRecord(f"the record names no operation: set {H.OPERATION}, or {H.METHOD} and {H.PATH}")
        if operation:
            operation = codec.name(headers, H.OPERATION)
        request_id = codec.text(headers, H.REQUEST_ID)
        if request_id is not None and not is_request_id(request_id):
            raise BadRecord(f"header {H.REQUEST_ID} is not a UUID: {request_id[:80]!r}; leave it out to get one")
        http = codec.json_object(headers, H.HTTP) if edge else None
        return cls(
            project=codec.name(headers, H.PROJECT), body=body or b"", operation=operation, method=method, path=path,
            request_id=request_id, params=codec.json_object(headers, H.PARAMS) or {},
            http=HttpFacts.from_json(http) if http is not None else None,
            deadline_ms=codec.integer(headers, H.DEADLINE), reply_to=ReplyAddress.from_headers(headers),
            token_digest=codec.text(headers, H.TOKEN_DIGEST), sealed=codec.text(headers, H.SEALED) if edge else None,
            idempotency_key=codec.text(headers, H.IDEMPOTENCY_KEY), content_type=codec.text(headers, H.CONTENT_TYPE),
            traceparent=codec.text(headers, H.TRACEPARENT), tracestate=codec.text(headers, H.TRACESTATE))

    def addressed(self, address: ReplyAddress) -> list[tuple[str, bytes]]:
        """The record's headers, with the place where the answer goes."""
        return [*self.to_headers(), *address.to_headers()]

    def split_path(self) -> tuple[str, dict[str, list[str]]]:
        """`weir-path` as path and query."""
        path, _, query = (self.path or "").partition("?")
        return path, parse_qs(query, keep_blank_values=True)


def secret_headers_in(headers: codec.HeaderMap) -> list[str]:
    """Keys of the record that hold a raw secret; such a record is refused and never forwarded."""
    return sorted(key for key in headers if key.lower() in H.SECRET_HEADERS)
