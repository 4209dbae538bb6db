"""Turn the parts of an HTTP request into a request record.

In:    method, path, headers, body, the operation found.
Out:   `RequestRecord` without any secret: a bearer token becomes a digest that is good for the edge topic alone.
Never: I/O, a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs

from services.ingress.routes import Target
from shared.contracts.request import HttpFacts, RequestRecord
from shared.contracts.token import MALFORMED, looks_right, topic_digest
from shared.contracts.traceparent import TraceContext
from shared.names import headers as H
from shared.names import topics

# RFC 9110, 7.6.1: they speak of the connection, not of the request
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
                         "proxy-connection", "content-length"})
_OWN = frozenset({"traceparent", "tracestate", "content-type", "idempotency-key", "host"})
_HIDDEN = _HOP_BY_HOP | _OWN | H.SECRET_HEADERS


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParts:
    """An HTTP request: `path` below the project, percent-encoded as it came; header names lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    client_ip: str
    body: bytes


def clean_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header names in lower case, repeated ones joined by a comma (RFC 9110, 5.3), values as valid UTF-8."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        text = value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def token_digest(headers: dict[str, str]) -> str | None:
    """What stands for the caller's bearer token; None when none came."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip()
    return topic_digest(token, topics.REQUESTS_EDGE) if looks_right(token) else MALFORMED


def to_record(parts: HttpParts, target: Target, request_id: str, deadline_ms: int,
              trace: TraceContext) -> RequestRecord:
    """The record to publish, but for its reply address."""
    headers = parts.headers
    return RequestRecord(
        request_id=request_id, project=target.project, operation=target.operation.name, params=dict(target.params),
        body=parts.body, deadline_ms=deadline_ms, token_digest=token_digest(headers),
        content_type=headers.get("content-type"), idempotency_key=headers.get(H.IDEMPOTENCY_KEY),
        traceparent=str(trace), tracestate=headers.get(H.TRACESTATE),
        http=HttpFacts(method=parts.method, path=parts.path, query=parse_qs(parts.query, keep_blank_values=True),
                       headers={key: value for key, value in headers.items() if key not in _HIDDEN},
                       client_ip=parts.client_ip))
