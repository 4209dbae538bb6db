"""One sample of every record class, and of what stands in the store, as it was when its golden record was written.

A golden record is never rewritten: a class that changes gets a new sample and a new file, and old files must still
decode. `python -m tests.contract.samples` writes the files that are missing.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.contracts import config
from shared.contracts.codec import header_map
from shared.contracts.dead_letter import DeadLetter, LetterNote
from shared.contracts.execution import ExecutionRecord
from shared.contracts.execution_result import ExecutionResult
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.origin import Origin
from shared.contracts.query import UsageQuery
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import Dialect, ReplyAddress
from shared.contracts.request import HttpFacts, RequestRecord
from shared.contracts.signal import Signal
from shared.contracts.usage import Envelope, UsageEvent

GOLDEN = Path(__file__).parent / "golden"
REQUEST_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ORIGIN = Origin("weir.requests.edge", 3, 42)
OWN = ReplyAddress(correlation_id=b"00112233445566770000000000000001", topic="weir.replies", partition=5)
SPRING = ReplyAddress(correlation_id=bytes(range(16)), topic="replies.orders", partition=258, dialect=Dialect.SPRING)
PLAIN = ReplyAddress(correlation_id=b"order-7", topic="replies.orders", dialect=Dialect.PLAIN)


@dataclass(frozen=True)
class Wire:
    """A record as a topic holds it."""

    value: bytes
    headers: list[tuple[str, bytes]]
    key: bytes | None = None

    def to_doc(self) -> dict[str, Any]:
        """As JSON, bytes in base64."""
        return {"key": None if self.key is None else _text(self.key), "value": _text(self.value),
                "headers": [[key, _text(value)] for key, value in self.headers]}

    @classmethod
    def from_doc(cls, doc: Any) -> "Wire":
        """From JSON."""
        return cls(base64.b64decode(doc["value"]), [(key, base64.b64decode(value)) for key, value in doc["headers"]],
                   None if doc["key"] is None else base64.b64decode(doc["key"]))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _request(**more: Any) -> RequestRecord:
    return RequestRecord(**{
        "request_id": REQUEST_ID, "project": "employee-directory", "body": b'{"a":1}', "deadline_ms": 1_700_000_030_000,
        "token_digest": "ab" * 32, "idempotency_key": "k-1", "content_type": "application/json",
        "traceparent": TRACEPARENT, "tracestate": "vendor=1", **more})


REMOVAL = config.ProjectVersion(
    project="shop", version=4, document={}, files={}, time=1_700_000_000_000, author="ada", note="removed")
# samples that today's code writes differently; their old files must still decode
SUPERSEDED = frozenset({"execution", "execution-observed", "execution-kept", "execution-caller", "execution-depth",
                        "execution-traced", "request-edge", "usage", "usage-observed", "usage-step", "usage-caller",
                        "signal", "config-project-removed"})
SAMPLES: dict[str, Any] = {
    "request-edge": _request(operation="get-employee", params={"id": "e-100"}, reply_to=OWN, http=HttpFacts(
        method="GET", path="/employees/e-100", query={"q": ["1", "ü"]}, headers={"accept": "*/*"}, client_ip="::1")),
    "request-edge-json": _request(
        operation="get-employee", params={"id": "e-100"}, reply_to=OWN, sealed="c2VhbGVk", prefer="wait=5",
        baggage="tenant=acme", http=HttpFacts(
            method="GET", path="/employees/e-100", query={"q": ["1", "ü"]}, headers={"accept": "*/*"},
            client_ip="::1", certificate="CN=till")),
    "request-internal-by-name": _request(
        operation="get-employee", params={"id": "e-100", "n": [1, 2]}, reply_to=SPRING),
    "request-internal-by-path": _request(method="GET", path="/employees?limit=1", reply_to=PLAIN),
    "execution": ExecutionRecord(
        request_id=REQUEST_ID, project="employee-directory", version=7, operation="get-employee", client="hr-app",
        source="edge", origin=ORIGIN, deadline_ms=1_700_000_030_000, reply_to=OWN, idempotency_key="k-1",
        trigger={"path": {"id": "e-100"}, "query": {"limit": 5}, "headers": {}, "client": "hr-app", "ip": "::1"},
        timing={"policy-queue": 900, "policy": 120}, content_type="application/json", traceparent=TRACEPARENT,
        tracestate="vendor=1", body=b'{"a":1}'),
    "execution-observed": ExecutionRecord(
        request_id=REQUEST_ID, project="employee-directory", version=7, operation="get-employee", client="hr-app",
        source="edge", origin=ORIGIN, deadline_ms=1_700_000_030_000, observed=("office-only:reject", "staff:accept"),
        answer_headers={"RateLimit": '"minute";r=5;t=60'}, holds=("weir:limit:a", "weir:limit:b"),
        claim={"key": "weir:idem:a", "digest": "ab", "keep_ms": 86_400_000}),
    "execution-kept": ExecutionRecord(
        request_id=REQUEST_ID, project="employee-directory", version=7, operation="get-employee", client="hr-app",
        source="edge", origin=ORIGIN, deadline_ms=1_700_000_030_000, keep_ms=86_400_000),
    "execution-caller": ExecutionRecord(
        request_id=REQUEST_ID, project="employee-directory", version=7, operation="get-employee", client="hr-app",
        source="edge", origin=ORIGIN, deadline_ms=1_700_000_030_000, token="tk-1", address="2001:db8::7"),
    "execution-traced": ExecutionRecord(
        request_id=REQUEST_ID, project="employee-directory", version=7, operation="get-employee", client="hr-app",
        source="edge", origin=ORIGIN, deadline_ms=1_700_000_030_000, traceparent=TRACEPARENT, tracestate="vendor=1",
        baggage="tenant=acme"),
    "execution-depth": ExecutionRecord(
        request_id=REQUEST_ID, project="shop", version=7, operation="order", client="chat", source="internal",
        origin=ORIGIN, deadline_ms=1_700_000_030_000, depth=2),
    "execution-json": ExecutionRecord(
        request_id=REQUEST_ID, project="employee-directory", version=7, operation="get-employee", client="hr-app",
        source="edge", origin=ORIGIN, deadline_ms=1_700_000_030_000, reply_to=SPRING, idempotency_key="k-1",
        trigger={"path": {"id": "e-100"}, "query": {"limit": 5}, "headers": {}, "client": "hr-app", "ip": "::1"},
        timing={"policy-queue": 900, "policy": 120}, content_type="application/json", traceparent=TRACEPARENT,
        tracestate="vendor=1", observed=("office-only:reject",), answer_headers={"RateLimit": '"minute";r=5;t=60'},
        holds=("weir:limit:a",), claim={"key": "weir:idem:a", "digest": "ab", "keep_ms": 86_400_000},
        keep_ms=86_400_000, depth=2, token="tk-1", address="2001:db8::7", baggage="tenant=acme", body=b'{"a":1}'),
    "execution-put-aside": ExecutionRecord(
        request_id=REQUEST_ID, project="shop", version=7, operation="order", client="chat", source="edge",
        origin=ORIGIN, deadline_ms=1_700_000_330_000, keep_ms=86_400_000, answer_by_ms=1_700_000_030_000, spent=17),
    "execution-resumed": ExecutionRecord(
        request_id=REQUEST_ID, project="shop", version=7, operation="order", client="chat", source="edge",
        origin=ORIGIN, deadline_ms=1_700_090_330_000, keep_ms=86_400_000, spent=17, accepted_ms=1_700_000_000_000,
        resumed_ms=1_700_090_000_000),
    "execution-signed": ExecutionRecord(
        request_id=REQUEST_ID, project="shop", version=7, operation="sold", client="till", source="edge",
        origin=ORIGIN, deadline_ms=1_700_000_330_000, holds=("weir:limit:a",), once="weir:seen:shop:ab"),
    "request-internal-depth": _request(operation="order", depth=2, reply_to=OWN),
    "request-traced": _request(operation="get-employee", baggage="tenant=acme,tier=gold;ttl=1"),
    "request-prefer": _request(operation="get-employee", prefer="respond-async, wait=5"),
    "reply": ReplyRecord(
        request_id=REQUEST_ID, status=201, body=b'{"id":"e-101"}', headers={"Location": "/employees/e-101"},
        timing={"policy": 120, "executor": 5000}, traceparent=TRACEPARENT),
    "reply-failed": ReplyRecord(
        request_id=REQUEST_ID, status=502, body=b"{}", client="hr-app", timing={"executor": 5000, "step lookup": 4800}),
    "reply-part": ReplyRecord(request_id=REQUEST_ID, status=200, body=b'{"word":"hi"}', sequence=3, event="word"),
    "reply-last-part": ReplyRecord(request_id=REQUEST_ID, status=200, body=b"{}", sequence=4, event="end", last=True),
    "usage": Envelope(producer="0011223344556677", sequence=12, events=(
        UsageEvent(kind="request", id=REQUEST_ID, time=1_700_000_000_000, project="employee-directory",
                   operation="get-employee", client="hr-app", source="edge", status=200, reason="ok", tasks=4,
                   bytes_in=7, bytes_out=90, timing={"policy": 120}, trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
                   origin=str(ORIGIN)),
        UsageEvent(kind="delivery", id=REQUEST_ID, time=1_700_000_000_001, project="", operation="", client="",
                   source="edge", status=504, reason="timeout"))),
    "usage-observed": Envelope(producer="0011223344556677", sequence=13, events=(
        UsageEvent(kind="request", id=REQUEST_ID, time=1_700_000_000_000, project="employee-directory",
                   operation="get-employee", client="hr-app", source="edge", status=200, reason="ok",
                   observed=["office-only:reject"], origin=str(ORIGIN)),)),
    "usage-step": Envelope(producer="0011223344556677", sequence=14, events=(
        UsageEvent(kind="request", id=REQUEST_ID, time=1_700_000_000_000, project="employee-directory",
                   operation="get-employee", client="hr-app", source="edge", status=502, reason="upstream-failed",
                   tasks=2, step="lookup", origin=str(ORIGIN)),)),
    "usage-caller": Envelope(producer="0011223344556677", sequence=15, events=(
        UsageEvent(kind="request", id=REQUEST_ID, time=1_700_000_000_000, project="employee-directory",
                   operation="get-employee", client="hr-app", source="edge", status=200, reason="ok", tasks=2,
                   origin=str(ORIGIN), address="2001:db8::7", token="tk-1"),
        UsageEvent(kind="request", id=REQUEST_ID, time=1_700_000_000_000, project="", operation="", client="",
                   source="edge", status=404, reason="operation-not-found", address="203.0.113.9", path="/.env"),
        UsageEvent(kind="request", id=REQUEST_ID, time=1_700_000_000_000, project="employee-directory",
                   operation="get-employee", client="", source="edge", status=401, reason="credentials-invalid",
                   origin=str(ORIGIN), proof="ab12"))),
    "usage-traced": Envelope(producer="0011223344556677", sequence=16, events=(
        UsageEvent(kind="request", id=REQUEST_ID, time=1_700_000_000_000, project="employee-directory",
                   operation="get-employee", client="hr-app", source="edge", status=200, reason="ok", tasks=2,
                   trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7", origin=str(ORIGIN)),)),
    "query": UsageQuery(project="employee-directory", since_ms=1_700_000_000_000, until_ms=1_700_000_060_000,
                        by=("client", "status")),
    "signal": Signal(project="shop", kind="ip", subject="203.0.113.9", action="block", until=1_700_000_600_000,
                     time=1_700_000_000_000, detector="credential-burst", reason="too many failed tokens",
                     evidence={"failures": 40, "requests": [REQUEST_ID]}),
    "signal-version": Signal(
        project="shop", kind="ip", subject="2001:db8:0:7::/64", action="throttle", until=1_700_000_600_000,
        time=1_700_000_000_000, detector="path-scan", version=2, reason="too many paths that lead nowhere", rate=5,
        evidence={"paths": 12, "some": ["/.env"], "within_s": 60, "requests": [REQUEST_ID]}),
    "config-pin": config.Pin(
        project="*", kind="token", subject="tk-1", action="block", until=2**53 - 1, time=1_700_000_000_000,
        detector="token-sharing", version=1, reason="it is on a forum", evidence={"addresses": 40}),
    "config-project": config.ProjectVersion(
        project="shop", version=3, document={"name": "shop", "operations": []}, files={"weir.yaml": "name: shop # ü\n"},
        time=1_700_000_000_000, author="ada", note="first"),
    "config-project-removed": REMOVAL,
    "config-project-emptied": REMOVAL,
    "config-client-removed": config.Client(project="shop", name="till", roles=["reader"], time=1_700_000_000_000,
                                           removed=True),
    "config-client": config.Client(project="shop", name="till", roles=["reader"], time=1_700_000_000_000),
    "config-token": config.Token(id="t-1", project="shop", client="till", digests={"weir.requests.edge": "cd" * 32},
                                 created=1_700_000_000_000, expires=1_800_000_000_000, revoked=None),
    "config-credential": config.Credential(
        project="shop", name="crm", kind="bearer", sealed="c2VhbGVk", time=1_700_000_000_000),
    "config-log-level": config.LogLevel(name="policy", level="debug", until=1_700_000_900_000, time=1_700_000_000_000),
    "config-halt": config.Halt(
        project="shop", workflow="order", halted=True, reason="stock is wrong", time=1_700_000_000_000),
    "config-allowance": config.Adjustment(
        project="shop", name="client", start=1_764_543_600_000, time=1_700_000_000_000,
        raised={"*": 100, '["till"]': 5}, forgiven={'["till"]': 70}),
    "kept-claim": KeptAnswer.claimed(REQUEST_ID, "ab"),
    "kept-claim-attempt": KeptAnswer.claimed(REQUEST_ID, "ab", "0f1e"),
    "kept-answer": KeptAnswer(
        request_id=REQUEST_ID, digest="ab", status=201, headers={"Location": "/employees/e-101"},
        content_type="application/json", body=b'{"id":"e-101"}'),
    "result-waiting": ExecutionResult(
        id=REQUEST_ID, operation="order", client="chat", state="waiting", accepted=1_700_000_000_000, tasks=4,
        steps=("a", "b")),
    "result-waiting-until": ExecutionResult(
        id=REQUEST_ID, operation="order", client="chat", state="waiting", accepted=1_700_000_000_000, tasks=4,
        steps=("a", "b"), until=1_700_000_600_000),
    "result-ended": ExecutionResult(
        id=REQUEST_ID, operation="order", client="chat", state="succeeded", accepted=1_700_000_000_000,
        ended=1_700_000_005_000, tasks=9, steps=("a", "b", "c"), status=201, headers={"Location": "/employees/e-101"},
        content_type="application/json", body=b'{"id":"e-101"}'),
    "letter-note": LetterNote(letter=12, outcome="replayed", time_ms=6, request_id=REQUEST_ID),
    "dead-letter": DeadLetter(origin=ORIGIN, service="policy", error="header weir-project is missing", time_ms=5),
}


def encode(sample: Any) -> Wire:
    """A sample in its wire form."""
    if isinstance(sample, Envelope):
        return Wire(*sample.to_record())
    if isinstance(sample, UsageQuery):
        return Wire(sample.to_json(), OWN.to_headers())
    if isinstance(sample, DeadLetter):
        return Wire(b"\x00\xff", sample.to_headers([("weir-operation", b"\xff"), ("Authorization", b"Bearer x")]))
    if isinstance(sample, KeptAnswer | ExecutionResult):
        return Wire(sample.to_bytes(), [])
    if isinstance(sample, LetterNote):
        return Wire(b"", sample.to_headers())
    if isinstance(sample, ReplyRecord):
        return Wire(sample.body, [*OWN.answer_headers(), *sample.to_headers()])
    if isinstance(sample, config.Entity):
        return Wire(config.to_value(sample), [], sample.key)
    if isinstance(sample, Signal):
        return Wire(sample.to_value(), [], sample.key)
    if isinstance(sample, RequestRecord) and sample.http is not None:
        return Wire(sample.body, sample.enclosed(sample.reply_to))
    return Wire(sample.body, sample.to_headers())


def decode(name: str, wire: Wire) -> Any:
    """The record that a golden file holds, read by today's code."""
    headers = header_map(wire.headers)
    if name.startswith("request"):
        return RequestRecord.from_headers(headers, wire.value, edge="edge" in name)
    if name.startswith("config"):
        return config.from_record(wire.key, wire.value)
    kind = name.partition("-")[0]
    readers: dict[str, Any] = {
        "execution": lambda: ExecutionRecord.from_headers(headers, wire.value),
        "reply": lambda: ReplyRecord.from_headers(headers, wire.value),
        "usage": lambda: Envelope.from_record(wire.value, headers),
        "signal": lambda: Signal.from_record(wire.key, wire.value),
        "kept": lambda: KeptAnswer.from_bytes(wire.value),
        "result": lambda: ExecutionResult.from_bytes(wire.value),
        "letter": lambda: LetterNote.from_headers(headers),
        "query": lambda: UsageQuery.from_json(wire.value),
    }
    return readers[kind]()


def write_missing() -> list[str]:
    """Write golden files that are not there yet; returns their names."""
    made = [name for name in SAMPLES if not (GOLDEN / f"{name}.json").exists()]
    for name in made:
        (GOLDEN / f"{name}.json").write_text(json.dumps(encode(SAMPLES[name]).to_doc(), indent=1) + "\n")
    return made


if __name__ == "__main__":
    print("\n".join(write_missing()))
