"""Texts as the values that a schema means, wherever it says so."""

from typing import Any

import pytest

from shared.project.coercion import Coercion

WHOLE = {"type": "integer"}


@pytest.mark.parametrize(("schema", "texts", "value"), [
    # a part that several share, alone or with more beside it
    ({"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": WHOLE}}, ["5"], 5),
    ({"properties": {"a": {"$ref": "#/$defs/n", "minimum": 1}}, "$defs": {"n": {"$ref": "#m"}, "m": {
        "$anchor": "m", "type": "boolean"}}}, ["true"], True),
    ({"properties": {"a": {"allOf": [{"$ref": "#/$defs/n"}, {"minimum": 1}]}}, "$defs": {"n": WHOLE}}, ["5"], 5),
    # alternatives: a text where one takes texts, as with a list of types
    ({"properties": {"a": {"anyOf": [WHOLE, {"type": "null"}]}}}, ["5"], 5),
    ({"properties": {"a": {"oneOf": [WHOLE, {"type": "null"}]}}}, [""], None),
    ({"properties": {"a": {"anyOf": [WHOLE, {"type": "string"}]}}}, ["5"], "5"),
    ({"properties": {"a": {"if": {"minimum": 3}, "then": {"type": "number"}, "else": WHOLE}}}, ["1.5"], 1.5),
    ({"properties": {"a": {"not": WHOLE}}}, ["5"], "5"),
    # values that are listed
    ({"properties": {"a": {"enum": [1, 2]}}}, ["2"], 2), ({"properties": {"a": {"const": True}}}, ["true"], True),
    ({"properties": {"a": {"enum": ["1", "2"]}}}, ["2"], "2"),
    ({"properties": {"a": {"enum": [1.5, None]}}}, ["1.5"], 1.5),
    ({"properties": {"a": {"type": "string", "enum": [1]}}}, ["1"], "1"),
    # lists
    ({"properties": {"a": {"$ref": "#/$defs/l"}}, "$defs": {"l": {"type": "array", "items": {"$ref": "#/$defs/n"}},
                                                             "n": WHOLE}}, ["1", "2"], [1, 2]),
    ({"properties": {"a": {"anyOf": [{"type": "array", "items": WHOLE}, {"type": "null"}]}}}, ["1"], [1]),
    ({"properties": {"a": WHOLE}}, ["1", "2"], 2),
    # the object itself refers, joins, chooses
    ({"$ref": "#/$defs/q", "$defs": {"q": {"properties": {"a": WHOLE}}}}, ["5"], 5),
    ({"allOf": [{"properties": {"a": WHOLE}}, {"properties": {"b": WHOLE}}]}, ["5"], 5),
    ({"dependentSchemas": {"b": {"properties": {"a": WHOLE}}}}, ["5"], 5),
    ({"$id": "http://a/b", "$ref": "c", "$defs": {"c": {"$id": "c", "properties": {"a": {"$ref": "#/$defs/n"}},
                                                         "$defs": {"n": WHOLE}}}}, ["5"], 5),
    # names that it does not say
    ({"additionalProperties": WHOLE}, ["5"], 5), ({"patternProperties": {"^[ab]$": WHOLE}}, ["5"], 5),
    ({"patternProperties": {"^x": WHOLE}}, ["5"], "5"), ({"additionalProperties": False}, ["5"], "5"),
    ({"patternProperties": {"^a": {"type": "number"}}, "additionalProperties": WHOLE}, ["5"], 5.0),
    ({"properties": {"a": True}, "additionalProperties": WHOLE}, ["5"], "5"), (True, ["5"], "5"),
    # ways that lead back, or nowhere
    ({"$ref": "#", "properties": {"a": {"$ref": "#/properties/a", "type": "integer"}}}, ["5"], 5)])
def test_text_is_the_value_that_the_schema_means(schema: Any, texts: list[str], value: Any) -> None:
    made = Coercion(schema).values({"a": texts, "none": []})
    assert made == {"a": value}
    assert type(made["a"]) is type(value)


@pytest.mark.parametrize("text", ["", "1_0", "٣", "+1", "01", "1e400", "nan", "0x1", " 1", "9" * 20, "true", "null"])
def test_what_does_not_convert_stays_as_it_came(text: str) -> None:
    assert Coercion({"properties": {"a": {"type": ["integer", "number"]}}}).values({"a": [text]}) == {
        "a": float(text) if text == "9" * 20 else text}


def test_names_are_those_that_it_has_or_asks_for() -> None:
    schema = {"allOf": [{"properties": {"X-A": WHOLE}, "required": ["X-B"]}], "properties": {"X-C": True}}
    assert sorted(Coercion(schema).names) == ["X-A", "X-B", "X-C"]
