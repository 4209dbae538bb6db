"""Inputs, expressions, durations, documents of a project."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import validate
from ruamel.yaml import YAML

from shared.errors import WorkflowFailed
from shared.project.config_values import resolve_config
from shared.project.durations import to_ms
from shared.project.expressions import BadExpression, compile_condition, compile_value
from shared.project.inputs import InputValidator, ReplyValidator
from shared.project.load import load_project
from shared.project.model import Operation, Project
from shared.project.openapi import openapi
from shared.project.schema import project_schema
from tests.unit.shared.project.test_load import FILES

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2**53, 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{%"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3), max_leaves=8)


def operation(**more: Any) -> Operation:
    return Operation.model_validate({"name": "o", "method": "POST", "path": "/{id}", "workflow": "w", **more})


@given(json_values)
def test_value_without_expressions_renders_as_itself(value: Any) -> None:
    template = compile_value(value)
    assert template.constant
    assert template.render({}) == value


@pytest.mark.parametrize(("text", "rendered"), [
    ("{% trigger.n %}", 3), ("  {% trigger.n %} ", 3), ("n={% trigger.n %}", "n=3"), ("{% trigger.o %}", {"a": [1]}),
    ("{% trigger.o %}!", '{"a":[1]}!'), ("{% trigger.none %}", None), ("[{% trigger.none %}]", "[]"),
    ("{% trigger.n %}{% trigger.n %}", "33"), ({"a": ["{% trigger.n + 0.5 %}"]}, {"a": [3.5]}),
    ("{% trigger.big %}", 9007199254740991), ("{% trigger.t %}", True)])
def test_expression_keeps_its_type_alone_and_is_text_inside_text(text: Any, rendered: Any) -> None:
    scope = {"trigger": {"n": 3, "o": {"a": [1]}, "big": 9007199254740991, "t": True}}
    result = compile_value(text).render(scope)
    assert result == rendered
    assert type(result) is type(rendered)


def test_expression_tells_which_steps_it_reads() -> None:
    assert compile_value({"a": "{% steps.one.body %}", "b": ["{% steps.two %}"]}).reads == {"one", "two"}
    assert compile_condition("steps.three = 1").reads == {"three"}


def test_expression_that_does_not_compile_is_told_at_once() -> None:
    with pytest.raises(BadExpression):
        compile_value("{% a ( %}")


def test_expression_that_fails_is_the_workflows_fault() -> None:
    with pytest.raises(WorkflowFailed):
        compile_value("{% $number('x') %}").render({})


@pytest.mark.parametrize(("text", "milliseconds"), [
    ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000)])
def test_duration_has_a_unit(text: str, milliseconds: int) -> None:
    assert to_ms(text) == milliseconds


@pytest.mark.parametrize("wrong", ["30", 30, "s", "-1s", "1.5s", None, "1 s"])
def test_duration_without_a_unit_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="unit"):
        to_ms(wrong)


def test_values_of_a_url_are_coerced_to_the_types_of_their_schemas() -> None:
    inputs = InputValidator.of(operation(input={
        "path": {"properties": {"id": {"type": "integer"}}},
        "query": {"properties": {"f": {"type": "number"}, "b": {"type": "boolean"}, "s": {"type": "string"},
                                 "l": {"type": "array", "items": {"type": "integer"}},
                                 "n": {"type": ["integer", "null"]}}}}))
    checked = inputs.check({"id": "7"}, {"f": ["1.5"], "b": ["true"], "s": ["5"], "l": ["1", "2"], "n": [""]}, {}, b"")
    assert checked.errors == []
    assert checked.path == {"id": 7}
    assert checked.query == {"f": 1.5, "b": True, "s": "5", "l": [1, 2], "n": None}


def test_every_misfit_is_told_with_its_pointer() -> None:
    inputs = InputValidator.of(operation(input={
        "path": {"properties": {"id": {"type": "integer"}}}, "headers": {"required": ["x-a"]},
        "body": {"properties": {"a/b": {"type": "integer"}, "l": {"items": {"type": "string"}}}}}))
    checked = inputs.check({"id": "x"}, {}, {}, b'{"a/b": "1", "l": ["a", 2]}')
    assert {(error.where, error.pointer) for error in checked.errors} == {
        ("path", "/id"), ("headers", ""), ("body", "/a~1b"), ("body", "/l/1")}


def test_body_that_somebody_has_read_is_checked_as_it_was_read() -> None:
    inputs = InputValidator.of(operation(input={"body": {"type": "integer"}}))
    assert inputs.check({}, {}, {}, b"1", 1).errors == []
    assert [error.where for error in inputs.check({}, {}, {}, b"null", None).errors] == ["body"]


def test_long_values_are_not_echoed() -> None:
    inputs = InputValidator.of(operation(input={"body": {"type": "integer"}}))
    checked = inputs.check({}, {}, {}, b'"' + b"x" * 100_000 + b'"')
    assert len(checked.errors[0].message) < 300


def test_reply_is_checked_against_the_schema_of_its_name() -> None:
    replies = ReplyValidator(operation(replies={"made": {"status": 201, "body": {"type": "integer"}}}))
    assert (replies.status_of("made"), replies.check("made", 1, {}), replies.check("other", "x", {})) == (201, [], [])
    assert replies.check("made", "x", {})


def test_headers_of_a_reply_are_checked_as_the_types_of_their_schema_and_without_the_case_of_their_names() -> None:
    replies = ReplyValidator(operation(replies={"success": {"headers": {
        "required": ["X-Left"], "additionalProperties": False, "properties": {"X-Left": {"type": "integer"}}}}}))
    assert replies.check("success", None, {"x-left": "7"}) == []
    for headers in ({}, {"x-left": "many"}, {"x-left": "7", "x-other": "7"}):
        assert [error.where for error in replies.check("success", None, headers)] == ["headers"]


def test_status_alone_means_the_one_declared_reply_that_has_it() -> None:
    replies = ReplyValidator(operation(replies={
        "not_found": {"status": 404}, "forbidden": {}, "gone": {"status": 410}, "old": {"status": 410}}))
    assert [replies.named(status) for status in (404, 403, 410, 409, None)] == [
        "not_found", "forbidden", "success", "success", "success"]


def example() -> Project:
    project = load_project(FILES).project
    assert project is not None
    return project


def test_config_value_of_the_environment_wins() -> None:
    assert resolve_config(example(), {})["hr_url"] == "http://127.0.0.1:8090"
    assert resolve_config(example(), {"WEIR_EXAMPLE_HR_URL": "http://hr"})["hr_url"] == "http://hr"


def test_openapi_of_the_example_is_valid_and_names_every_answer() -> None:
    document = openapi(example(), "/employee-directory")
    validate(document)
    create = document["paths"]["/employees"]["post"]
    assert {"201", "400", "401", "404", "405", "413", "415", "500", "502", "503", "504"} <= set(create["responses"])
    assert document["paths"]["/info"]["get"]["security"] == []
    assert {(one["name"], one["in"]) for one in document["paths"]["/employees"]["get"]["parameters"]} == {
        ("department", "query"), ("limit", "query")}


def test_published_schema_accepts_the_example_and_refuses_unknown_keys() -> None:
    schema = project_schema()
    for file, text in FILES.items():
        key = "workflows/*.yaml" if file.startswith("workflows/") else file
        validator = Draft202012Validator({**schema, "$ref": f"#/$defs/{key.replace('/', '~1')}"})
        document = YAML(typ="safe", pure=True).load(text)
        assert [error.message for error in validator.iter_errors(document)] == [], file
        assert not validator.is_valid({**document, "unknown": 1})
