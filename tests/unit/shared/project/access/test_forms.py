"""The form of a call: headers that it must have, sizes, nesting, keys that stand twice; and headers that change."""

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.project.access.forms import Form, changed, compile_form
from shared.project.access.traffic import Bounds, Change, HeaderPolicy


def form(headers: dict[str, Any] | None = None, bounds: dict[str, Any] | None = None) -> Form:
    made = compile_form([HeaderPolicy.model_validate(headers)] if headers is not None else [],
                        [Bounds.model_validate(bounds)] if bounds is not None else [], "op")
    assert made is not None
    return made


DEEP = b'{"a": 1, "a": 2, "b": %s%s}'
HEADERS = {"x-tenant": "blue", "accept": "*/*"}
CASES: list[tuple[dict[str, Any] | None, dict[str, Any] | None, dict[str, Any], list[str]]] = [
    ({"require": ["X-Tenant"]}, None, {}, []),
    ({"require": ["x-a", "x-b"]}, None, {}, ["header x-a is missing", "header x-b is missing"]),
    ({"forbid": ["x-tenant"]}, None, {}, ["header x-tenant is not allowed"]),
    ({"match": {"X-Tenant": "^(red|green)$"}}, None, {}, ["header x-tenant does not match ^(red|green)$"]),
    ({"match": {"x-none": "^a$"}}, None, {}, []),
    ({"content_types": ["application/*"]}, None, {"content_type": "application/json; charset=utf-8"}, []),
    ({"content_types": ["application/json", "text/csv"]}, None, {"content_type": "text/html"},
     ["a body is application/json or text/csv, not text/html"]),
    ({"content_types": ["application/json"]}, None, {"content_type": "text/html", "body": b""}, []),
    (None, {"body": 5}, {}, ["the body of the request: 13 bytes, and 5 are allowed"]),
    (None, {"body": "1KB", "headers": 100, "query": 10}, {}, []),
    (None, {"headers": 10}, {}, ["the headers of the request: 21 bytes, and 10 are allowed"]),
    (None, {"query": 3}, {"query": {"a": ["bc", "d"]}}, ["the query of the request: 8 bytes, and 3 are allowed"]),
    (None, {"query": 8}, {"query": {"a": ["bc", "d"]}}, []),
    (None, {"query": 109}, {"query": {"a": ["\U0001f600" * 9]}},
     ["the query of the request: 110 bytes, and 109 are allowed"]),
    (None, {"headers": 38}, {"headers": {"x": "\u00e9" * 9, "y": "\u20ac" * 6}}, []),
    (None, {"headers": 18}, {"headers": {"x": "\u00e9" * 9}},
     ["the headers of the request: 19 bytes, and 18 are allowed"]),
    (None, {"json_depth": 3}, {"body": b'{"a": [[1]]}'}, []),
    (None, {"json_depth": 2}, {"body": b'{"a": [[1]]}'}, ["the body is nested 3 levels deep, and 2 are allowed"]),
    (None, {"json_depth": 1}, {"body": b'{"a": "[[\\"{"}'}, []),
    (None, {"json_depth": 2}, {"body": b"[" * 100_000}, ["the body is nested 100000 levels deep, and 2 are allowed"]),
    (None, {"json_depth": 1}, {"body": b"[[1]]", "content_type": "text/plain"}, []),
    (None, {"duplicate_keys": False}, {"body": b'{"a": 1, "b": {"a": 1, "c": 2, "c": 3}}'},
     ["key 'c' stands twice in an object"]),
    (None, {"duplicate_keys": False}, {"body": b'[{"a": 1}, {"a": 1}]'}, []),
    (None, {"duplicate_keys": False}, {"body": b'{"a":'}, []),
    (None, {"duplicate_keys": False}, {"body": DEEP % (b"[" * 499, b"]" * 499)}, ["key 'a' stands twice in an object"]),
    (None, {"duplicate_keys": False}, {"body": DEEP % (b"[" * 500, b"]" * 500)},
     ["the body is nested 501 levels deep, and 500 are allowed"]),
    (None, {"json_depth": 1}, {"body": DEEP % (b"[" * 500, b"]" * 500)},
     ["the body is nested 501 levels deep, and 1 are allowed"]),
    # to whoever reads UTF-16 its text ends behind the sign, so that its depth is another one
    (None, {"duplicate_keys": False}, {"body": f'["\u2200",{"[" * 5000}'.encode("utf-16-le")}, []),
]


@pytest.mark.parametrize(("headers", "bounds", "call", "messages"), CASES, ids=[str(case[:3])[:80] for case in CASES])
def test_call_without_the_form_is_told_everything(
        headers: Any, bounds: Any, call: dict[str, Any], messages: list[str]) -> None:
    found = form(headers, bounds).misfits(**{"headers": HEADERS, "content_type": None, "query": {},
                                             "body": b'{"a": "bcde"}', **call})
    assert [misfit.message for misfit in found] == messages


@pytest.mark.parametrize(("raw", "size"), [
    ("a=1&b=x:y/z?@,;&c=d=e&flag", 26), ("a=caf%C3%A9+b%26%2B", 19), ("a&&&b", 3)])
def test_query_is_measured_as_it_stands_in_an_address(raw: str, size: int) -> None:
    query = parse_qs(raw, keep_blank_values=True)
    assert form(None, {"query": size}).misfits({}, None, query, b"") == []
    [misfit] = form(None, {"query": size - 1}).misfits({}, None, query, b"")
    assert misfit.message == f"the query of the request: {size} bytes, and {size - 1} are allowed"


@pytest.mark.parametrize(("bounds", "size", "twice"), [
    ([{"body": 50}, {"operations": ["get-thing"], "body": 90}], 90, True),
    ([{"operations": ["get-thing"], "body": 90}, {"body": 50}], 90, True),
    ([{"body": 50}, {"operations": ["get-*"], "body": 90}], 90, True),
    ([{"operations": ["get-*"], "body": 50}, {"operations": ["get-thing"], "body": 90}, {"body": 10}], 90, True),
    ([{"operations": ["get-*"], "body": 90}, {"operations": ["*-thing"], "body": 50}], 50, True),
    ([{"body": 50}, {"operations": ["make-thing"], "body": 90}], 50, True),
    ([{"body": 50, "duplicate_keys": False}, {"operations": ["get-thing"], "json_depth": 9}], 50, False),
    ([{"duplicate_keys": False}, {"operations": ["get-thing"], "body": 90, "duplicate_keys": True}], 90, True)])
def test_bound_that_speaks_of_an_operation_most_closely_is_its_bound(
        bounds: list[dict[str, Any]], size: int, twice: bool) -> None:
    # as they come back from a version
    kept = [Bounds.model_validate(Bounds.model_validate(one).model_dump(mode="json", exclude_defaults=True))
            for one in bounds]
    bounded = compile_form([], kept, "get-thing")
    assert bounded is not None
    assert [bounded.misfits({}, None, {}, b"1" * length) == [] for length in (size, size + 1)] == [True, False]
    assert (bounded.misfits({}, None, {}, b'{"a": 1, "a": 1}') == []) is twice


PRINTABLE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)


@given(st.dictionaries(PRINTABLE, st.lists(PRINTABLE, min_size=1, max_size=3), max_size=3))
def test_no_query_is_longer_to_a_bound_than_it_was(query: dict[str, list[str]]) -> None:
    # whoever sends it may encode more than has to be
    raw = urlencode(query, doseq=True)
    assert form(None, {"query": max(1, len(raw))}).misfits({}, None, parse_qs(raw, keep_blank_values=True), b"") == []


@given(st.binary(max_size=200))
def test_no_body_breaks_the_look_at_its_form(body: bytes) -> None:
    form(None, {"json_depth": 5, "duplicate_keys": False}).misfits({}, None, {}, body)


def deepest(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max((deepest(one) for one in (value.values() if isinstance(value, dict) else value)), default=0)


@given(st.recursive(st.text('[]{}"\\,:'), lambda parts: st.lists(parts) | st.dictionaries(st.text('[{"\\'), parts)))
def test_brackets_in_texts_make_nothing_deeper(value: Any) -> None:
    body, deep = json.dumps(value).encode(), deepest(value)
    told = [misfit.message for misfit in form(None, {"json_depth": max(1, deep - 1)}).misfits(
        {}, "application/json", {}, body)]
    assert told == ([f"the body is nested {deep} levels deep, and {deep - 1} are allowed"] if deep > 1 else [])


def seconds_to_look_at(body: bytes) -> float:
    looked, began = form(None, {"json_depth": 500}), time.thread_time()
    looked.misfits({}, None, {}, body)
    return time.thread_time() - began


@pytest.mark.parametrize("body", [
    b'"' + b'\\"' * 100_000, b'"' + b'\\"' * 100_000 + b"\\", b'"' + b"\\\\" * 100_000, b'\\"' * 100_000,
    b'"[' * 100_000 + b'"', b'"' + b'a\\"[' * 50_000], ids=lambda body: repr(body[:6] + body[-2:]))
def test_text_that_never_ends_takes_no_longer_than_one_that_does(body: bytes) -> None:
    good = seconds_to_look_at(b'"' + b"ab" * 100_000 + b'"')
    # looked at anew from each of its quotes it would take minutes
    assert seconds_to_look_at(body) < 2 + 50 * good


TEXTS = st.text() | st.text(alphabet='"\\[]{}\n\u20ac')
DOCUMENTS = st.recursive(st.none() | st.integers() | TEXTS,
                         lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


def depth_of(document: Any) -> int:
    if not isinstance(document, (list, dict)):
        return 0
    return 1 + max(map(depth_of, document.values() if isinstance(document, dict) else document), default=0)


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 2]))
def test_depth_is_that_of_the_document_whatever_its_texts_hold(document: Any, ascii_only: bool, indent: Any) -> None:
    body = json.dumps([[document]], ensure_ascii=ascii_only, indent=indent).encode()
    deep = depth_of([[document]])
    assert form(None, {"json_depth": deep}).misfits({}, None, {}, body) == []
    assert [misfit.message for misfit in form(None, {"json_depth": deep - 1}).misfits({}, None, {}, body)] == [
        f"the body is nested {deep} levels deep, and {deep - 1} are allowed"]


def test_headers_change_in_order_and_whatever_their_case() -> None:
    change = Change.model_validate({"remove": ["x-secret"], "rename": {"X-Old": "x-new"}, "set": {"X-Fixed": "1"}})
    out = changed({"X-Secret": "a", "X-OLD": "b", "x-fixed": "c", "Other": "d"}, [change])
    assert out == {"x-new": "b", "x-fixed": "1", "Other": "d"}
    assert changed({"a": "b"}, []) == {"a": "b"}


def test_change_is_one_of_every_header_of_that_name() -> None:
    twice = {"X-A": "1", "x-a": "2", "B": "3"}
    assert changed(twice, [Change(remove=("x-a",))]) == {"B": "3"}
    assert changed(twice, [Change(set={"X-a": "4"})]) == {"B": "3", "x-a": "4"}
    assert changed(twice, [Change(rename={"X-a": "c"})]) == {"B": "3", "c": "2"}
    assert changed(twice, [Change(rename={"x-a": "b", "b": "x-a"})]) == {"x-a": "3", "b": "2"}


def test_nothing_is_compiled_for_an_operation_that_nothing_speaks_of() -> None:
    assert compile_form([HeaderPolicy(operations=("x-*",))], [Bounds(operations=("y",))], "op") is None
