"""Every record comes back from its wire form as it went; arbitrary bytes raise one error only."""

import contextlib
import string
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import config
from shared.contracts.codec import header_map
from shared.contracts.execution import ExecutionRecord
from shared.contracts.origin import Origin
from shared.contracts.query import UsageQuery
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import Dialect, ReplyAddress
from shared.contracts.request import HttpFacts, RequestRecord
from shared.contracts.usage import Envelope, UsageEvent
from shared.errors import BadRecord, InputInvalid
from shared.names import headers as H

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
named = st.text(string.ascii_lowercase + "-", min_size=1, max_size=10)
numbers = st.integers(0, 10**15)
amounts = st.integers(0, 2**40 - 1)
timings = st.dictionaries(named, st.integers(0, 10**9), max_size=3)
plain = st.recursive(st.none() | st.booleans() | st.integers(-2**53, 2**53) | texts,
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
                     max_leaves=6)
origins = st.builds(Origin, named, st.integers(0, 100), numbers)


@st.composite
def addresses(draw: st.DrawFn) -> ReplyAddress:
    dialect = draw(st.sampled_from(Dialect))
    partition = None if dialect is Dialect.PLAIN else draw(st.none() | st.integers(0, 2**31 - 1))
    return ReplyAddress(correlation_id=draw(st.binary(min_size=1, max_size=64)), topic=draw(named),
                        partition=partition, dialect=dialect)


facts = st.builds(HttpFacts, method=named, path=texts,
                  query=st.dictionaries(texts, st.lists(texts, max_size=2), max_size=2),
                  headers=st.dictionaries(texts, texts, max_size=3), client_ip=texts)
optional = st.none() | st.text(string.printable, min_size=1, max_size=10)
requests = st.builds(
    RequestRecord, project=named, body=st.binary(max_size=20), request_id=st.none() | st.uuids().map(str),
    operation=named, method=optional, path=optional, params=st.dictionaries(texts, plain, max_size=2),
    http=st.none() | facts, deadline_ms=st.none() | numbers, reply_to=st.none() | addresses(), token_digest=optional,
    idempotency_key=optional, content_type=optional, traceparent=optional, tracestate=optional)
executions = st.builds(
    ExecutionRecord, request_id=named, project=named, version=numbers, operation=named, client=texts, source=named,
    origin=origins, deadline_ms=numbers, trigger=st.dictionaries(texts, plain, max_size=2), timing=timings,
    reply_to=st.none() | addresses(), idempotency_key=optional, content_type=optional, traceparent=optional,
    tracestate=optional, token=texts, address=texts, once=texts, body=st.binary(max_size=20))
replies = st.builds(
    ReplyRecord, request_id=named, status=st.integers(100, 599), body=st.binary(max_size=20), content_type=optional,
    headers=st.dictionaries(texts, texts, max_size=2), timing=timings, traceparent=optional)
events = st.builds(
    UsageEvent, kind=st.sampled_from(["request", "delivery"]), id=named,
    time=st.integers(0, 253_402_300_799_999), project=texts, operation=texts,
    client=texts, source=named, status=st.integers(100, 599), reason=named, tasks=amounts, bytes_in=amounts,
    bytes_out=amounts, timing=timings, trace_id=st.none() | named, origin=st.none() | origins.map(str),
    address=optional, token=optional, path=optional, proof=optional)


@given(requests)
def test_request_comes_back_as_it_went(record: RequestRecord) -> None:
    assert RequestRecord.from_headers(header_map(record.to_headers()), record.body, edge=True) == record


@given(requests, addresses())
def test_enclosed_request_comes_back_as_it_went_from_the_edge_alone(record: RequestRecord, to: ReplyAddress) -> None:
    headers = header_map(record.enclosed(to))
    sent = msgspec.structs.replace(record, reply_to=to)
    assert RequestRecord.from_headers(headers, record.body, edge=True) == sent
    with pytest.raises(BadRecord):
        RequestRecord.from_headers(headers, record.body, edge=False)


@pytest.mark.parametrize("facts", [
    b"", b"{}", b"[]", b'{"project":"p"}', b'{"project":"","operation":"o"}', b'{"project":"p","operation":""}',
    b'{"project":"p","operation":"o","request_id":"r"}', b'{"project":"p","operation":"o","deadline_ms":-1}',
    b'{"project":"p","operation":"o","reply_to":{"correlation_id":"","topic":"t"}}',
    b'{"project":"p","operation":"o","reply_to":{"correlation_id":"YQ==","topic":"a b"}}',
    b'{"project":"p","operation":"o","reply_to":{"correlation_id":"YQ==","topic":"t","partition":-1}}'])
def test_enclosed_request_that_is_none_is_a_bad_record(facts: bytes) -> None:
    with pytest.raises(BadRecord):
        RequestRecord.from_headers({H.REQUEST: facts}, b"", edge=True)


def test_enclosed_request_has_nothing_behind_it() -> None:
    headers = {H.REQUEST: b'{"project":"p","operation":"o","depth":3}'}
    assert RequestRecord.from_headers(headers, b"", edge=True).depth == 0


@given(requests)
def test_facts_of_the_edge_are_not_believed_on_the_internal_topic(record: RequestRecord) -> None:
    assert RequestRecord.from_headers(header_map(record.to_headers()), record.body, edge=False).http is None


@given(executions)
def test_execution_comes_back_as_it_went(record: ExecutionRecord) -> None:
    assert ExecutionRecord.from_headers(header_map(record.to_headers()), record.body) == record


@given(replies)
def test_reply_comes_back_as_it_went(record: ReplyRecord) -> None:
    assert ReplyRecord.from_headers(header_map(record.to_headers()), record.body) == record


@given(addresses())
def test_reply_address_comes_back_in_its_own_dialect(address: ReplyAddress) -> None:
    assert ReplyAddress.from_headers(header_map(address.to_headers())) == address
    assert [value for _, value in address.answer_headers()] == [address.correlation_id]


@given(st.lists(events, max_size=5), named, numbers)
def test_envelope_comes_back_as_it_went(found: list[UsageEvent], producer: str, sequence: int) -> None:
    envelope = Envelope(producer=producer, sequence=sequence, events=tuple(found))
    value, headers = envelope.to_record()
    assert Envelope.from_record(value, header_map(headers)) == envelope


@given(st.builds(UsageQuery, project=named, since_ms=st.just(5), until_ms=st.integers(5, 10**12),
                 by=st.sampled_from([(), ("client",), ("operation", "status")])))
def test_query_comes_back_as_it_went(query: UsageQuery) -> None:
    assert UsageQuery.from_json(query.to_json()) == query


@pytest.mark.parametrize("entity", [
    config.ProjectVersion(project="p", version=3, document={"a": [1]}, files={"weir.yaml": "ü"}, time=5),
    config.Client(project="p", name="c", roles=["r"], time=1),
    config.Token(id="t", project="p", client="c", digests={"x": "y"}, created=1, expires=None, revoked=7)],
    ids=["project", "client", "token"])
def test_config_entity_comes_back_as_it_went(entity: config.Entity) -> None:
    assert config.from_record(entity.key, config.to_value(entity)) == entity


keys = st.sampled_from([key for key, _ in RequestRecord(
    project="p", operation="o", request_id="01890a5d-ac96-774b-bcce-b302099a8057", method="m", path="/",
    params={"a": 1}, deadline_ms=1, token_digest="t",
    http=HttpFacts(method="GET", path="/"), traceparent="x",
    reply_to=ReplyAddress(correlation_id=b"c", topic="t", partition=1)).to_headers()] + [
        "kafka_replyTopic", "kafka_correlationId", "kafka_replyPartition", "reply_to", "correlation_id", "weir-status",
        "weir-headers", "weir-timing", "weir-trigger", "weir-origin", "weir-version", "weir-source", "weir-producer",
        "weir-sequence", "weir-request"])
rubbish = st.lists(st.tuples(keys, st.none() | st.binary(max_size=30) | st.sampled_from(
    [b"{}", b"[]", b"1", b"null", b'{"query":1}', b"p", b"200", b"a/1/2"])), max_size=14)
READERS: list[Callable[[Any, Any], Any]] = [
    lambda headers, value: RequestRecord.from_headers(headers, value, edge=True),
    lambda headers, value: RequestRecord.from_headers(headers, value, edge=False),
    ExecutionRecord.from_headers, ReplyRecord.from_headers,
    lambda headers, value: Envelope.from_record(value, headers),
    lambda headers, value: UsageQuery.from_json(value),
    lambda headers, value: config.from_record(b"token/x", value or b""),
]


@pytest.mark.parametrize("read", READERS, ids=["edge", "internal", "execution", "reply", "usage", "query", "config"])
@given(pairs=rubbish, value=st.none() | st.binary(max_size=60) | st.sampled_from(
    [b"[]", b"{}", b"[{}]", b'[{"kind":"request"}]', b"[" * 5000]))
def test_arbitrary_bytes_raise_nothing_but_our_own_error(
        read: Callable[[Any, Any], Any], pairs: list[tuple[str, bytes | None]], value: bytes | None) -> None:
    with contextlib.suppress(BadRecord, InputInvalid):
        read(header_map(pairs), value)
