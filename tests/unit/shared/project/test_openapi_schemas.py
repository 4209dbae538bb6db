"""Schemas inside one document: what they say stays, wherever their references lead."""

import json
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import validate

from shared.project.load import load_project
from shared.project.openapi import openapi
from shared.project.openapi_schemas import Components

TREE = {"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"$ref": "#/$defs/n"}}, "required": ["n"],
        "additionalProperties": False, "$defs": {"n": {"type": "integer", "minimum": 1}}}
VALUES = [{"n": 1}, {"n": 0}, {}, {"n": 1, "next": {"n": 2}}, {"n": 1, "next": {"n": 0}}, {"n": 1, "next": {"x": 1}}]


@pytest.mark.parametrize(("schema", "values"), [
    (TREE, VALUES), ({"type": "integer"}, [1, "x"]), (True, [1]),
    ({"$ref": "#/$defs/deep/properties/a", "$defs": {"deep": {"properties": {"a": {"type": "null"}}}}}, [None, 1]),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"enum": [{"$ref": "#/$defs/a"}]}}},
     [{"$ref": "#/$defs/a"}, 1]),
    ({"$ref": "#/$defs/an%20odd~1name", "$defs": {"an odd/name": {"$ref": "#/$defs/a"}, "a": {"const": 1}}}, [1, 2]),
    ({"$ref": "#node", "$defs": {"a": {"$anchor": "node", "items": {"$ref": "#/$defs/b"}}, "b": {"const": 1}}},
     [[1], [2]]),
    ({"properties": {"const": {"$ref": "#/$defs/a"}, "$ref": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "null"}}},
     [{"const": None}, {"const": 1}, {"$ref": 1}, {"$ref": None}]),
    ({"anyOf": [{"$id": "http://a/b", "$ref": "#/$defs/x", "$defs": {"x": {"const": 1}}}, {"$ref": "#/$defs/x"}],
      "$defs": {"x": {"const": 2}}}, [1, 2, 3])])
def test_value_fits_in_the_document_if_it_fits_the_schema(schema: Any, values: list[Any]) -> None:
    components = Components({})
    used = components.use("op.body", schema)
    # a validator looks for ids and anchors where JSON Schema has its parts
    document = json.dumps({"allOf": [used], "$defs": components.schemas})
    inside = Draft202012Validator(json.loads(document.replace("#/components/schemas/", "#/$defs/")))
    alone = Draft202012Validator(schema)
    fit = [alone.is_valid(value) for value in values]
    assert fit == [inside.is_valid(value) for value in values]
    assert len(values) == 1 or len(set(fit)) == 2


def test_parts_that_refer_to_others_are_found_from_wherever_they_are_used() -> None:
    loaded = load_project({
        "weir.yaml": "name: shop\n", "workflows/w.yaml": "steps:\n  - {id: r, reply: {body: {n: 1}}}\n",
        "operations.yaml": json.dumps({"operations": [{
            "name": "order", "method": "POST", "path": "/orders", "workflow": "w", "tags": ["b", "a"],
            "input": {"body": TREE, "query": TREE}, "replies": {"success": {"body": TREE}}}]})})
    assert loaded.project is not None, loaded.problems
    document = openapi(loaded.project, "/shop")
    validate(document)
    assert document["tags"] == [{"name": "b"}, {"name": "a"}]
    assert set(document["components"]["schemas"]) == {
        "Problem", "Execution", "Accepted", *(
            f"order.{place}{part}" for place in ("body", "query", "replies.success.body") for part in ("", ".n"))}


@pytest.mark.parametrize(("schema", "told", "required"), [
    (None, {}, []), (True, {}, []), ({"required": ["a"]}, {}, ["a"]),
    ({"properties": {"a": {"type": "integer"}}, "allOf": [{"properties": {"b": True}, "required": ["b"]}]},
     {"a": {"type": "integer"}, "b": True}, ["b"]),
    ({"$ref": "#/$defs/page", "$defs": {"page": {"properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]},
                                        "n": {"minimum": 1}}},
     {"n": {"$ref": "#/components/schemas/op.query.n"}}, ["n"]),
    ({"allOf": [{"$ref": "#/$defs/odd%20name/items/0"}, {"$ref": "#/$defs/x/nothing"}, {"$ref": "#elsewhere"}],
      "$defs": {"odd name": {"items": [{"properties": {"a": {"const": 1}}}]}, "x": {}}}, {"a": {"const": 1}}, []),
    # in a circle
    ({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}], "properties": {"b": {}}}}}, {"b": {}}, []),
    ({"allOf": [{"properties": {"a": {"minimum": 1}}}, {"properties": {"a": {"maximum": 3}}}]},
     {"a": {"allOf": [{"minimum": 1}, {"maximum": 3}]}}, []),
    # what holds in some cases only neither has to be there nor says more of what is there in all
    ({"properties": {"kind": {"type": "string"}}, "oneOf": [
        {"properties": {"kind": {"const": "x"}, "n": {"type": "integer"}}, "required": ["n"]},
        {"properties": {"kind": {"const": "y"}, "n": {"type": "null"}}}], "if": {"properties": {"z": {"const": 1}}},
      "then": {"properties": {"m": {}}, "required": ["m"]}},
     {"kind": {"type": "string"}, "n": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "m": {}}, [])])
def test_members_are_those_of_all_that_a_schema_joins(schema: Any, told: dict[str, Any], required: list[str]) -> None:
    components = Components({})
    assert components.members(components.take("op.query", schema)) == (told, required)
