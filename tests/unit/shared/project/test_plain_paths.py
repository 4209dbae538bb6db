"""What is looked up without JSONata is what JSONata gives."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jlens import Expression, JlensError

from shared.project.expressions import BOUNDS, compile_value
from shared.project.plain_paths import UNSURE, lookup, place_of, with_integers

NAMES = ("a", "b", "in_", "_c9")
# those beyond are rounded by JSONata, and kept by a path
scalars = (st.none() | st.booleans() | st.integers(-2**53, 2**53) | st.floats() | st.text(max_size=4)
           | st.sampled_from(["\ud800", "\x00\x1f", "é", 2**53, 2**70, -0.0, 2.0]))
keys = st.sampled_from(NAMES) | st.text(max_size=2)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=10),
                      max_leaves=12)
scopes = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)
paths = st.lists(st.sampled_from(NAMES), min_size=2, max_size=4).map(".".join)


def asked(source: str, scope: dict[str, Any]) -> str:
    """In a form that tells 1 from 1.0 and from true."""
    try:
        return repr(Expression(source).evaluate(scope, max_result_size=BOUNDS.max_bytes))
    except JlensError as error:
        return f"error {error.code}"


@given(paths, scopes)
def test_path_gives_what_jsonata_gives(path: str, scope: dict[str, Any]) -> None:
    for source in (path, f"$exists({path})", f"$exists( {path}  )"):
        look = lookup(source)
        assert look is not None
        found = look(scope, BOUNDS.max_bytes)
        if found is not UNSURE:
            assert repr(found) == asked(source, scope)


@pytest.mark.parametrize("source", [
    "a", "a.b.", ".a", "a.b[0]", "a.`b`", "a.b + 1", "$a.b", "a.true", "null.a", "a.function", "and.or", "a .b", "a.é",
    "$exists(a)", "$exists(a.b, 1)", "$exist(a.b)", "$exists(a.b[0])", "a..b", "a.*", "a.%", "1.a", "a.1", "a.b\n"])
def test_whatever_is_more_than_names_is_left_to_jsonata(source: str) -> None:
    assert lookup(source) is None


@pytest.mark.parametrize("value", [
    [1], 2.0, float("nan"), 2**64, -2**63 - 1, "é", "\ud800", {"a": [1]}, {"a": {}}, {"é": 1},
    dict.fromkeys("abcdefghi", 1)])
def test_value_that_jsonata_may_see_otherwise_is_left_to_it(value: Any) -> None:
    look = lookup("a.b")
    assert look is not None
    assert look({"a": {"b": value}}, BOUNDS.max_bytes) is UNSURE


def test_what_may_be_too_large_is_left_to_jsonata_and_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BOUNDS, "max_bytes", 100)
    look = lookup("a.b")
    assert look is not None
    assert look({"a": {"b": "x" * 10}}, BOUNDS.max_bytes) == "x" * 10
    assert look({"a": {"b": "x" * 99}}, BOUNDS.max_bytes) is UNSURE
    assert look({"a": {"b": {"c": "x" * 10}}}, BOUNDS.max_bytes) is UNSURE


def test_object_is_a_copy() -> None:
    scope = {"a": {"b": {"c": 1}}}
    made = compile_value("{% a.b %}").render(scope)
    assert made == {"c": 1}
    assert made is not scope["a"]["b"]


@given(paths, scopes)
def test_value_of_a_path_is_that_of_jsonata_also_where_it_was_asked(path: str, scope: dict[str, Any]) -> None:
    place = place_of(path)
    assert place is not None
    try:
        made = Expression(path).evaluate(scope, max_result_size=BOUNDS.max_bytes)
    except JlensError:
        return
    assert repr(with_integers(made, place(scope))) == repr(made)


@pytest.mark.parametrize("number", [2**53 + 1, 1234567890123456789, -2**63, 2**64 - 1])
def test_whole_number_that_nothing_is_computed_with_stays_as_it_is(number: int) -> None:
    body = {"id": number, "more": [number, 2.0, {"id": number, "é": [1, [number]]}], "one": [number]}
    scope = {"trigger": {"body": body}}
    for path in ("trigger.body.id", "trigger.body", "trigger", "trigger.body.more", "trigger.body.one"):
        place = place_of(path)
        assert place is not None
        assert compile_value(f"{{% {path} %}}").render(scope) == place(scope)
    assert compile_value("id-{% trigger.body.id %}").render(scope) == f"id-{number}"


def test_what_is_nested_deeper_than_python_follows_is_left_to_jsonata() -> None:
    deep: Any = 2**53 + 1
    for _ in range(2_000):
        deep = [deep]
    made = with_integers(deep, [deep])
    assert made is deep
