"""Tokens, ids, trace contexts, dead letters."""

import json
import uuid
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import config, ids, token
from shared.contracts.dead_letter import DeadLetter
from shared.contracts.ids import CorrelationIds
from shared.contracts.origin import Origin
from shared.contracts.request import secret_headers_in
from shared.contracts.signal import Signal
from shared.contracts.traceparent import TraceContext
from shared.errors import BadRecord
from shared.names import topics


@given(st.integers(0, 62), st.characters(codec="ascii"))
def test_mistyped_token_is_told_by_its_checksum(place: int, letter: str) -> None:
    good = token.new_token()
    assert token.looks_right(good)
    place %= len(good)
    mistyped = good[:place] + letter + good[place + 1:]
    assert token.looks_right(mistyped) == (mistyped == good)


@given(st.text(max_size=80))
def test_any_text_can_be_asked_whether_it_is_a_token(text: str) -> None:
    assert not token.looks_right(text)


@pytest.mark.parametrize(("body", "right"), [
    ("weir_" + "a" * 43, True), ("weir_" + "a" * 42, False), ("weir_" + "a" * 44, False), ("weix_" + "a" * 43, False),
    ("weir_" + "\u00e9" * 43, False)])
def test_text_of_another_form_is_no_token_though_its_checksum_fits(body: str, right: bool) -> None:
    assert token.looks_right(body + token._check(body)) is right


def test_digests_differ_per_topic_and_from_what_is_stored() -> None:
    text = token.new_token()
    edge, internal = (token.topic_digest(text, topic) for topic in (topics.REQUESTS_EDGE, topics.REQUESTS_INTERNAL))
    assert len({edge, internal, token.stored_digest(edge), token.stored_digest(internal)}) == 4


@given(st.integers(0, 2**48 - 1))
def test_request_ids_are_uuids_of_version_7_that_sort_by_time(now_ms: int) -> None:
    made = uuid.UUID(ids.request_id(now_ms))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == now_ms
    assert ids.is_request_id(str(made))


@given(st.integers(-1, 2**63 - 1), st.lists(st.binary(max_size=9), max_size=3))
def test_request_id_of_what_says_the_same_is_the_same_and_of_nothing_else(made_ms: int, told: list[bytes]) -> None:
    made = ids.request_id_of(made_ms, *told)
    assert ids.is_request_id(made)
    assert uuid.UUID(made).version == 7
    assert made == ids.request_id_of(made_ms, *told)
    assert made not in (ids.request_id_of(made_ms, *told, b""), ids.request_id_of(made_ms + 1, *told))


def test_correlation_ids_are_unique_and_known_as_ones_own() -> None:
    mine, other = CorrelationIds(), CorrelationIds()
    made = [mine.new() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert {len(one) for one in made} == {32}
    assert all(mine.is_own(one) and not other.is_own(one) for one in made)


@given(st.text(max_size=70))
def test_malformed_trace_context_is_none_and_never_an_error(text: str) -> None:
    assert TraceContext.parse(text) is None


@given(st.booleans())
def test_trace_context_comes_back_as_it_went(sampled: bool) -> None:
    context = TraceContext.new(sampled=sampled)
    # that no span has its id yet is nobody else's business
    assert TraceContext.parse(str(context)) == TraceContext(context.trace_id, context.span_id, sampled, random=True)


@pytest.mark.parametrize(("came", "goes"), [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"),
                                            ("0c", "00")])
def test_flags_that_are_known_go_on_as_they_came(came: str, goes: str) -> None:
    context = TraceContext.parse(f"00-{'a' * 32}-{'b' * 16}-{came}")
    assert context is not None
    assert {str(one)[-2:] for one in (context, context.renewed())} == {goes}


def test_trace_context_of_a_later_version_is_read_and_zero_ids_are_not() -> None:
    assert TraceContext.parse(f"cc-{'a' * 32}-{'b' * 16}-01-what-comes-later") is not None
    assert TraceContext.parse(f"00-{'0' * 32}-{'b' * 16}-01") is None
    assert TraceContext.parse(f"00-{'a' * 32}-{'b' * 16}-01-more") is None


def test_dead_letter_keeps_bytes_and_hides_secrets() -> None:
    letter = DeadLetter(origin=Origin("t", 1, 2), service="policy", error="why", time_ms=3)
    headers = dict(letter.to_headers([("a", b"\xff"), ("Authorization", b"Bearer x"), ("none", None)]))
    assert headers["a"] == b"\xff"
    assert headers["Authorization"] == b"[removed]"
    assert (headers["weir-dead-topic"], headers["weir-dead-offset"]) == (b"t", b"2")


def test_raw_secrets_are_found_whatever_their_case() -> None:
    assert secret_headers_in({"AUTHORIZATION": b"", "x-Api-Key": b"", "accept": b""}) == ["AUTHORIZATION", "x-Api-Key"]


def _nested(depth: int) -> Any:
    return orjson.loads(b'{"a":' * depth + b"1" + b"}" * depth)


@pytest.mark.parametrize(("entity", "wrong"), [
    (config.Token(id="t", project="p", client="c", digests={}, created=1), {"digests": {"x": []}}),
    (config.Client(project="p", name="c", time=1), {"roles": [{}]}),
    (config.ProjectVersion(project="p", version=1, document={}, files={}, time=1), {"files": {"weir.yaml": None}}),
    (config.Adjustment(project="p", name="a", start=1, time=1), {"raised": {"*": "1"}}),
    (config.Adjustment(project="p", name="a", start=1, time=1), {"forgiven": {"[]": 2**63}}),
    (config.LogLevel(name="*", level="debug", until=1, time=1), {"level": "loud"}),
    (config.Halt(project="p", workflow="w", halted=True, time=1), {"halted": 1}),
    (config.Halt(project="p", workflow="w", halted=True, time=1), {"time": True}),
    (config.Pin(project="p", kind="ip", subject="s", action="block", until=1, time=1, detector="d"), {"rate": 10**15})],
    ids=["digest", "role", "file", "text", "beyond 64 bits", "level", "number", "boolean", "rate"])
def test_config_record_with_another_type_inside_is_passed_over(entity: config.Entity, wrong: dict[str, Any]) -> None:
    doc = orjson.loads(config.to_value(entity))
    assert config.from_record(entity.key, orjson.dumps(doc)) == entity
    with pytest.raises(BadRecord):
        config.from_record(entity.key, orjson.dumps({**doc, **wrong}))


@pytest.mark.parametrize("wrong", [
    {"evidence": []}, {"rate": "5"}, {"rate": 10**15}, {"version": {}}, {"reason": 5}, {"time": 2**60}, {"time": -1},
    {"until": 2**60}, {"action": "shout"}, {"kind": "house"}], ids=str)
def test_signal_with_another_type_inside_is_passed_over(wrong: dict[str, Any]) -> None:
    signal = Signal(project="p", kind="ip", subject="1.2.3.4", action="throttle", until=5, time=1, detector="d")
    doc = orjson.loads(signal.to_value())
    assert Signal.from_record(signal.key, orjson.dumps(doc)) == signal
    with pytest.raises(BadRecord):
        Signal.from_record(f"p/{wrong.get('kind', 'ip')}/1.2.3.4".encode(), orjson.dumps({**doc, **wrong}))


def test_signal_whose_evidence_is_deeper_than_can_be_written_is_passed_over() -> None:
    signal = Signal(project="p", kind="ip", subject="1.2.3.4", action="block", until=5, time=1, detector="d")
    deep = json.dumps({**orjson.loads(signal.to_value()), "evidence": _nested(300)}).encode()
    with pytest.raises(BadRecord):
        Signal.from_record(signal.key, deep)
