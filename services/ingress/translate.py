"""Turn the parts of an HTTP request into a request record.

In:    method, path, headers, body, the operation found.
Out:   `RequestRecord` without any secret: a bearer token becomes a digest that is good for the edge topic alone.
Never: I/O, a clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import parse_qs

from msgspec import Struct

from services.ingress.routes import Target
from shared.contracts.request import HttpFacts, RequestRecord, joined
from shared.contracts.sealed import Seal
from shared.contracts.token import PREFIX, is_in, looks_right, malformed, together, topic_digest
from shared.contracts.trace_headers import baggage, tracestate
from shared.contracts.traceparent import TraceContext
from shared.errors import Unavailable
from shared.names import headers as H
from shared.names import topics


class Credentials(Struct, frozen=True):
    """What a call carries as proofs. `digest` stands for its tokens; `secrets` are for policy alone, by kind."""

    digest: str | None
    secrets: Mapping[str, str]


class HttpParts(Struct, kw_only=True):
    """An HTTP request: `path` below the project, percent-encoded as it came; header names lower case.

    `body` comes last: a caller may be refused before it is read. `found`: its proofs, where somebody has looked.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    client_ip: str
    certificate: str = ""
    body: bytes = b""
    found: Credentials | None = None


def clean_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header names in lower case, repeated ones joined by a comma (RFC 9110, 5.3), values as valid UTF-8."""
    pairs = list(pairs)
    headers = {name.lower(): value for name, value in pairs}
    if len(headers) == len(pairs) and "".join(headers.values()).isascii():
        return headers
    if not "".join([value for _, value in pairs]).isascii():
        pairs = [(name, value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")) for name, value in pairs]
    return joined(pairs)


def proofs(parts: HttpParts, target: Target) -> Credentials:
    """The proofs of a request; they are looked for once."""
    if parts.found is None:
        key = target.api_key
        wanted = parts.query and key is not None and key.query
        query = parse_qs(parts.query, keep_blank_values=True) if wanted else {}
        parts.found = credentials(parts.headers, query, target)
    return parts.found


def credentials(headers: Mapping[str, str], query: Mapping[str, list[str]], target: Target) -> Credentials:
    """The proofs of the kinds that the operation takes."""
    shown: list[str] = []
    secrets: dict[str, str] = {}
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme == "Bearer" or scheme.lower() == "bearer":
        bearer = bearer.strip()
        if "jwt" in target.kinds and bearer.count(".") == 2:
            secrets["jwt"] = bearer
        elif "token" in target.kinds:
            shown.append(bearer)
    if target.api_key is not None and "api_key" in target.kinds:
        keys = headers.get(target.api_key.header or ""), (query.get(target.api_key.query or "") or [""])[-1]
        shown += [key for key in keys if key]
    if "signature" in target.kinds and "webhook-signature" in headers:
        secrets["signature"] = headers["webhook-signature"]
    return Credentials(_digest(shown), secrets)


def _digest(shown: Sequence[str]) -> str | None:
    """Of all that may be tokens of ours: one that is unknown or good no more does not hide another."""
    ours = [topic_digest(token, topics.REQUESTS_EDGE) for token in dict.fromkeys(shown) if looks_right(token)]
    return together(ours) or (malformed(shown[0]) if shown else None)


def to_record(parts: HttpParts, target: Target, request_id: str, deadline_ms: int, trace: TraceContext,
              seal: Seal | None) -> RequestRecord:
    """The record to publish, but for its reply address. Raises Unavailable when secrets cannot be sealed."""
    headers, found = parts.headers, proofs(parts, target)
    query = parse_qs(parts.query, keep_blank_values=True) if parts.query else {}
    if found.secrets and seal is None:
        raise Unavailable("this gateway has no cluster key to protect these credentials with (WEIR_CLUSTER_KEY)")
    key_header = None
    if target.api_key is not None:
        key_header = target.api_key.header
        query.pop(target.api_key.query or "", None)
    if PREFIX in parts.query:
        # of a caller that has put it where no operation looks for it
        query = {name: values for name, values in query.items() if not any(map(is_in, values))}
    return RequestRecord(
        request_id=request_id, project=target.project, operation=target.operation.name,
        params=dict(target.params) if target.params else {},
        body=parts.body, deadline_ms=deadline_ms, token_digest=found.digest,
        sealed=seal.close(found.secrets, request_id) if seal is not None and found.secrets else None,
        content_type=headers.get("content-type"), idempotency_key=headers.get(H.IDEMPOTENCY_KEY),
        prefer=headers.get(H.PREFER),
        traceparent=str(trace), baggage=baggage(headers.get(H.BAGGAGE)),
        tracestate=tracestate(headers.get(H.TRACESTATE), headers.get(H.TRACEPARENT)),
        http=HttpFacts(method=parts.method, path=parts.path, query=query, certificate=parts.certificate,
                       headers={key: value for key, value in headers.items()
                                if key not in H.UNSEEN_HEADERS and key != key_header and not is_in(value)},
                       client_ip=parts.client_ip))
