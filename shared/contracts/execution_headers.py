"""The form that executions had on their topic before they had one header for all facts.

In:    record headers: `weir-request-id`, `weir-project`, `weir-version` (decimal), `weir-operation`, `weir-client`,
       `weir-source`, `weir-origin`, `weir-deadline`, `weir-trigger` JSON, `weir-timing` JSON, `weir-observed` and
       `weir-holds` (by commas), `weir-headers` JSON, `weir-claim` JSON, `weir-keep`, `weir-depth`, the reply address,
       `idempotency-key`, `content-type`, trace context.
Out:   the fields of an `ExecutionRecord`, but for its body.
Never: written: a parked execution or a letter of before is read, nothing more.
"""

from typing import Any

import msgspec

from shared.contracts import codec
from shared.contracts.origin import Origin
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.usage import Timing
from shared.names import headers as H

_TEXTS = (H.REQUEST_ID, H.PROJECT, H.OPERATION, H.CLIENT, H.SOURCE, H.OBSERVED, H.HOLDS, H.IDEMPOTENCY_KEY,
          H.CONTENT_TYPE, H.TRACEPARENT, H.TRACESTATE, H.BAGGAGE, H.TOKEN, H.ADDRESS)
_TIMING = msgspec.json.Decoder(Timing)


def read(headers: codec.HeaderMap) -> dict[str, Any]:
    """Raises BadRecord."""
    text = codec.texts(headers, _TEXTS).get
    return {
        "request_id": codec.named(H.REQUEST_ID, text(H.REQUEST_ID)),
        "project": codec.named(H.PROJECT, text(H.PROJECT)), "version": codec.integer(headers, H.VERSION) or 0,
        "operation": codec.named(H.OPERATION, text(H.OPERATION)),
        "client": (text(H.CLIENT) or "")[:codec.MAX_NAME], "source": codec.named(H.SOURCE, text(H.SOURCE)),
        "origin": Origin.from_headers(headers), "deadline_ms": codec.integer(headers, H.DEADLINE) or 0,
        "trigger": codec.json_object(headers, H.TRIGGER) or {},
        "timing": codec.decoded(headers, H.TIMING, _TIMING) or {},
        "observed": _listed(text(H.OBSERVED)), "holds": _listed(text(H.HOLDS)),
        "claim": codec.json_object(headers, H.CLAIM) or {}, "keep_ms": codec.integer(headers, H.KEEP) or 0,
        "depth": codec.integer(headers, H.DEPTH) or 0,
        "answer_headers": codec.decoded(headers, H.REPLY_HEADERS, codec.TEXT_BY_NAME) or {},
        "reply_to": ReplyAddress.from_headers(headers), "idempotency_key": text(H.IDEMPOTENCY_KEY),
        "content_type": text(H.CONTENT_TYPE), "traceparent": text(H.TRACEPARENT),
        "tracestate": text(H.TRACESTATE), "baggage": text(H.BAGGAGE), "token": text(H.TOKEN) or "",
        "address": text(H.ADDRESS) or ""}


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(filter(None, text.split(","))) if text else ()
