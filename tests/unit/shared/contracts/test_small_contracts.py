"""Tokens, ids, trace contexts, dead letters."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import ids, token
from shared.contracts.dead_letter import DeadLetter
from shared.contracts.ids import CorrelationIds
from shared.contracts.origin import Origin
from shared.contracts.request import secret_headers_in
from shared.contracts.traceparent import TraceContext
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
    assert TraceContext.parse(str(context)) == TraceContext(context.trace_id, context.span_id, sampled=sampled)


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
