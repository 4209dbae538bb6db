"""No value, however it is made, keeps its check busy; how many steps a check takes is never told too low."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from shared.project.inputs import ValueValidator
from shared.project.schema_work import SchemaWork

NODE = {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}}
TREE = {"$defs": {"n": {"anyOf": [{**NODE, "required": ["x"]}, {**NODE, "required": ["y"]}]}}, "$ref": "#/$defs/n"}
OPTIONAL = {"$defs": {"n": {"properties": {"name": {"type": "string"}, "children": {"anyOf": [
    {"type": "array", "items": {"$ref": "#/$defs/n"}}, {"type": "null"}]}}}}, "$ref": "#/$defs/n"}
BESIDE = {"properties": {"c": {"items": {"$ref": "#"}}}, "oneOf": [
    {"properties": {"kind": {"const": kind}}, "required": ["kind"]} for kind in ("a", "b")]}
LINKED = {"type": "object", "properties": {"c": {"type": "array", "items": {"$ref": "#"}}}}
LEAVES = {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}
ROWS = {"type": "array", "items": {"oneOf": [{"type": "object", "required": ["a"]}, {"items": {"type": "null"}}]}}


def nested(deep: int, member: str = "c") -> Any:
    value: Any = {"z": 1}
    for _ in range(deep):
        value = {member: value}
    return value


@pytest.mark.parametrize(("schema", "explodes", "chooses"), [
    (TREE, True, True), (OPTIONAL, False, True), (BESIDE, False, True), (LINKED, False, False),
    ({"properties": {"c": {"$ref": "#"}}, "patternProperties": {"^c": {"$ref": "#"}}}, True, False),
    ({"properties": {"c": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}}, False, False),
    ({"properties": {"c": {"$ref": "#"}}, "allOf": [{"additionalProperties": {"$ref": "#"}}]}, True, True),
    ({"$defs": {f"c{i}": {"$ref": f"#/$defs/c{(i + 1) % 300}"} for i in range(300)}, "$ref": "#/$defs/c0"},
     False, False),
    (LEAVES, False, False), (ROWS, False, True), (True, False, False),
    ({"$defs": {"v": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/v"}, "b": {"$ref": "#/$defs/v"}}},
     False, False),
    ({"$id": "http://a/b", "$ref": "#k", "$defs": {"k": {"$anchor": "k", "items": {"$ref": "b"}}}}, False, False),
    ({"$id": "http://a/b", "$ref": "n/tree", "$defs": {"tree": {**TREE, "$id": "n/tree"}}}, True, True),
    ({"$id": "http://a/b", "$ref": "n/foo", "$defs": {
        "foo": {"$id": "n/foo", "$ref": "bar"}, "bar": {"$id": "n/bar", "items": {"$ref": "bar"}}}}, False, False),
    ({"$defs": {f"s{i}": {"allOf": [{"$ref": f"#/$defs/s{i + 1}"}] * 2} for i in range(20)} | {"s20": {}},
      "$ref": "#/$defs/s0"}, True, False)])
def test_schema_is_known_to_explode_or_not(schema: Any, explodes: bool, chooses: bool) -> None:
    work = SchemaWork(schema)
    assert (work.explodes, work.chooses) == (explodes, chooses)


@pytest.mark.parametrize(("schema", "value", "told"), [
    (TREE, nested(4), "is not valid under any"), (TREE, nested(10), "too large to say where"),
    (TREE, nested(300), "alternatives lead back into it"),
    ({"type": "array", "items": {"type": "integer"}}, ["x"] * 200_000, "is not of type \"integer\"; there may be more"),
    ({"type": "array", "items": {"required": [f"k{i}" for i in range(20)]}}, [{}] * 100_000, "there may be more"),
    ({"type": "array", "items": {"enum": [f"v{i}" for i in range(1_000)]}}, [1] * 100_000, "there may be more"),
    ({"propertyNames": {"maxLength": 1}}, {f"k{i}": 1 for i in range(50_000)}, "there may be more"),
    (ROWS, [[1]] * 50_000, "too large to say where"),
    ({"items": {"pattern": r"(\w+)\s+\1"}}, ["abc" * 300] * 20, "there may be more"),
    ({"propertyNames": {"pattern": r"(\w+)\s+\1"}}, {"x" * n: 1 for n in range(900, 920)}, "there may be more"),
    ({"patternProperties": {r"(\w+)\s+\1": {}}, "additionalProperties": False},
     {"x" * n: 1 for n in range(900, 910)}, "there may be more")])
def test_value_that_misfits_in_millions_of_ways_is_told_so_at_once(schema: Any, value: Any, told: str) -> None:
    assert told in ValueValidator(schema).misfits(value)


def test_tree_that_fits_or_is_small_is_checked_as_ever() -> None:
    good = {"x": 1, "c": {"y": 1, "c": {"x": 2}}}
    assert ValueValidator(TREE).misfits(good) == ""
    told = ValueValidator({"type": "array", "items": {"type": "integer"}}).misfits(["x"] * 20)
    assert [one.partition(":")[0] for one in told.split("; ")] == [f"/{index}" for index in range(20)]


@pytest.mark.parametrize(("pattern", "texts", "told"), [
    (r"^(?!.*(\w+)\s+\1)", ["abc" * 300] * 100, "too much text"), (r"^(?!.*(\w+)\s+\1)", ["abc" * 300] * 10, ""),
    (r"^(?!.*(?<w>\w+)\s+\k<w>)", ["abc" * 300] * 100, "too much text"), (r"^(\w)\1", ["aab"] * 20_000, ""),
    (r"^(?!\s*$)", ["abc" * 300] * 900, ""), (r"^[^\\1]*$", ["abc" * 300] * 900, "")])
def test_pattern_that_refers_back_is_held_against_so_much_text_only(pattern: str, texts: list[str], told: str) -> None:
    found = ValueValidator({"items": {"pattern": pattern}}).misfits(texts)
    assert told in found
    assert bool(told) == bool(found)


@pytest.mark.parametrize(("pattern", "told"), [(r"^(\w+) \1$", 10), ("^[0-9]+$", 10), ("^(?!a)", 10)])
def test_all_short_texts_that_match_no_pattern_are_told(pattern: str, told: int) -> None:
    found = ValueValidator({"items": {"pattern": pattern}}).misfits(["a little text"] * told)
    assert len(found.split("; ")) == told


SCHEMAS = st.recursive(
    st.sampled_from([True, {"type": "integer"}, {"enum": [1, "a"]}, {"required": ["a", "b"]}, {"minItems": 2},
                     {"propertyNames": {"maxLength": 0}}, {"maxLength": 0, "type": ["string", "null"]}]),
    lambda inner: st.fixed_dictionaries({}, optional={
        "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2), "items": inner, "not": inner,
        "additionalProperties": inner, "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "patternProperties": st.dictionaries(st.just("^a"), inner), "contains": inner, "if": inner, "then": inner,
        **{key: st.lists(inner, min_size=1, max_size=2) for key in ("allOf", "anyOf", "oneOf")}}), max_leaves=8)
VALUES = st.recursive(st.sampled_from([1, "a", None, ""]), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from("abc"), inner, max_size=3), max_leaves=12)


def misfits(errors: Any) -> int:
    """All of them, those that no alternative fits for as well."""
    return sum(1 + misfits(itertools.chain.from_iterable(getattr(error.kind, "context", None) or ()))
               for error in errors)


@given(SCHEMAS, VALUES)
def test_there_are_never_more_misfits_than_steps(schema: Any, value: Any) -> None:
    found = misfits(Draft202012Validator(schema).iter_errors(value))
    assert found == 0 or not SchemaWork(schema).within(value, found - 1)
