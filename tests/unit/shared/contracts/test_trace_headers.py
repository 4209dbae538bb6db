"""`tracestate` and `baggage` as callers send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.request import RequestRecord
from shared.contracts.trace_headers import MAX_BAGGAGE, baggage, tracestate
from shared.names import headers as H

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(("came", "goes"), [
    ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    (" rojo=1 ,\tcongo=2,,", "rojo=1,congo=2"), ("fw529a3039@dt=FfAA", "fw529a3039@dt=FfAA"),
    ("", None), ("Rojo=1", None), ("rojo", None), ("rojo=", None), ("a=\x00", None),
    ("a=1=2", None), ("a=1,b=2,a=3", "a=1,b=2"), ("foo@bar@baz=1", "foo@bar@baz=1"), ("@foo=1,bar=2", None),
    ("z" * 256 + "=1", "z" * 256 + "=1"), ("foo=1," + "z" * 257 + "=1", None),
    (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
    (",".join(f"k{n}=1" for n in range(33)), None)])
def test_state_goes_on_when_it_is_well_formed(came: str, goes: str | None) -> None:
    assert tracestate(came, PARENT) == goes


def test_state_without_a_context_that_is_gone_on_with_says_nothing() -> None:
    assert tracestate("rojo=1", None) is None
    assert tracestate("rojo=1", "00-x") is None


def test_of_a_long_state_what_is_small_and_new_goes_on() -> None:
    large = ",".join(f"{name}={name * 150}" for name in "abc")
    assert tracestate(f"{large},small=1", PARENT) == f"{large},small=1"
    assert tracestate(f"{large},small={'x' * 50}", PARENT) == f"a={'a' * 150},b={'b' * 150},small={'x' * 50}"
    kept = tracestate(",".join(f"v{number}={'x' * 60}" for number in range(20)), PARENT)
    assert kept is not None
    assert kept.split(",") == [f"v{number}={'x' * 60}" for number in range(8)]


@pytest.mark.parametrize(("came", "goes"), [
    ("userId=alice,serverNode=DF%2028,isProduction=false", "userId=alice,serverNode=DF%2028,isProduction=false"),
    ("a=1;ttl=3;secret", "a=1;ttl=3;secret"), ("a = 1 , b=", "a = 1,b="),
    ("", None), ("a", None), ("=1", None), ("a=1\x00", None), ("a=ü", None), ("a=" + "x" * MAX_BAGGAGE, None)])
def test_baggage_goes_on_when_it_is_well_formed(came: str, goes: str | None) -> None:
    assert baggage(came) == goes


@given(st.text(max_size=200))
def test_nothing_that_may_come_is_an_error(text: str) -> None:
    for found in (tracestate(text, PARENT), baggage(text)):
        assert found is None or found.isascii()


@pytest.mark.parametrize("odd", [b"a=b\r\nX-Evil: 1", b"a=b," * 3_000, b"\x00"])
def test_what_a_publisher_sends_malformed_goes_no_further(odd: bytes) -> None:
    headers = {H.PROJECT: b"p", H.OPERATION: b"o", H.TRACEPARENT: PARENT.encode(), H.TRACESTATE: odd, H.BAGGAGE: odd}
    record = RequestRecord.from_headers(headers, b"", edge=False)
    assert (record.traceparent, record.tracestate, record.baggage) == (PARENT, None, None)
