"""Inputs, expressions, durations, documents of a project."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jlens import Expression, JlensError
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import validate
from ruamel.yaml import YAML

from shared.contracts.execution_result import ExecutionResult
from shared.contracts.reply import ReplyRecord
from shared.errors import WorkflowFailed
from shared.project.config_values import resolve_config
from shared.project.durations import to_ms
from shared.project.expressions import BadExpression, compile_value, names_in
from shared.project.inputs import InputValidator, ReplyValidator
from shared.project.load import is_project_file, load_project
from shared.project.model import Operation, Project
from shared.project.openapi import openapi
from shared.project.schema import project_schema
from tests.support.platform import ROOT
from tests.unit.shared.project.test_load import FILES

# of JSONata, all of them
_FUNCTIONS = """
    abs append assert average base64decode base64encode boolean ceil clone contains count decodeUrl
    decodeUrlComponent distinct each encodeUrl encodeUrlComponent error eval exists filter floor formatBase
    formatInteger formatNumber fromMillis join keys length lookup lowercase map match max merge millis min not now
    number pad parseInteger power random reduce replace reverse round shuffle sift single sort split spread sqrt
    string substring substringAfter substringBefore sum toMillis trim type uppercase zip
"""
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


@pytest.mark.parametrize(("text", "names"), [
    ("steps.one.body & steps.`two`", {"steps": {"one": {"body": True}, "two": True}}), ("'steps.one'", {}),
    ("$exists(errors.one)", {"errors": {"one": {}}}), ("trigger.body.steps", {"trigger": {"body": {"steps": True}}}),
    ("$eval('steps.one')", {}), ("[1..3].(steps.one)", {})])
def test_expression_tells_which_names_it_reads(text: str, names: dict[str, Any]) -> None:
    assert names_in(text).scope == names


@pytest.mark.parametrize(("value", "volatile"), [
    ("{% $now() %}", True), ("{% $millis() %}", True), ("{% $map([1, 2], $random) %}", True),
    ({"a": ["{% ($draw := $random; $draw()) < 1 %}"]}, True), ("{% trigger.list ~> $shuffle %}", True),
    ("at {% $toMillis('13:45', '[H01]:[m01]') %}", True), ("{% $eval('$now()') %}", True),
    ("$now()", False), ("{% $nowhere %}", False), ("{% now + $fromMillis(3) %}", False), ("{% steps.random %}", False)])
def test_value_tells_whether_it_may_be_another_each_time(value: Any, volatile: bool) -> None:
    assert compile_value(value).volatile == volatile


def test_no_other_function_gives_something_else_each_time() -> None:
    arguments = ("", "1", "[3, 1, 2, 5, 4]", "{'a': 1, 'b': 2}", "'13:45'", "'13:45', '[H01]:[m01]'", "1, '[H]'",
                 "[3, 1, 2], function($x) { $x > 1 }", "function($x) { $x }", "'a b', 'a'", "16, 2")

    def given(text: str, now: int, seed: int) -> Any:
        try:
            return Expression(text).evaluate({}, now=now, seed=seed)
        except JlensError as exc:
            return exc.code
    differ = {name for name in _FUNCTIONS.split() for one in arguments
              if given(f"${name}({one})", 10**12, 1) != given(f"${name}({one})", 10**12 + 9 * 10**9, 2)}
    assert differ == {"millis", "now", "random", "shuffle", "toMillis"}


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
    inputs = InputValidator(operation(input={
        "path": {"properties": {"id": {"type": "integer"}, "of": {"type": "array", "items": {"type": "integer"}}}},
        "query": {"properties": {"f": {"type": "number"}, "b": {"type": "boolean"}, "s": {"type": "string"},
                                 "l": {"type": "array", "items": {"type": "integer"}},
                                 "n": {"type": ["integer", "null"]}}}}))
    checked = inputs.check({"id": "7", "of": "1,2"}, {"f": ["1.5"], "b": ["true"], "s": ["5"], "l": ["1", "2"],
                                                      "n": [""]}, {}, b"")
    assert checked.errors == []
    assert checked.path == {"id": 7, "of": [1, 2]}
    assert checked.query == {"f": 1.5, "b": True, "s": "5", "l": [1, 2], "n": None}


@pytest.mark.parametrize(("schema", "text", "value"), [
    ({"properties": {"n": {"anyOf": [{"type": "integer", "maximum": 9}, {"const": "all"}]}}}, "5", 5),
    ({"properties": {"n": {"anyOf": [{"type": "integer"}, {"const": "all"}]}}}, "all", "all"),
    ({"properties": {"n": {"enum": [1, True, "all"]}}}, "true", True),
    ({"properties": {"n": {"type": ["integer", "string"]}}}, "5", "5"),
    ({"properties": {"n": {"type": "array", "items": {"enum": [1, "all"]}}}}, "1", [1]),
    ({"properties": {"a~/b": True, "n": {"oneOf": [{"type": "null"}, {"type": "string", "minLength": 1}]}}}, "", None),
    # all of it has alternatives
    ({"oneOf": [{"properties": {"n": {"type": "integer"}}}, {"properties": {"n": {"const": "all"}}}]}, "5", 5),
    ({"properties": {"n": {"anyOf": [{"type": "integer", "maximum": 9}, {"const": "all"}]}}}, "10", "refused"),
    ({"properties": {"n": {"enum": [1, "all"]}}, "required": ["m"]}, "1", "refused")])
def test_text_is_a_number_where_the_text_itself_does_not_fit(schema: Any, text: str, value: Any) -> None:
    checked = InputValidator(operation(input={"query": schema})).check({"id": "1"}, {"n": [text]}, {}, b"")
    assert (checked.query["n"] if not checked.errors else "refused") == value
    headers = InputValidator(operation(input={"headers": schema})).check({"id": "1"}, {}, {"n": text}, b"")
    assert len(headers.errors) == len(checked.errors)


def test_every_misfit_is_told_with_its_pointer() -> None:
    inputs = InputValidator(operation(input={
        "path": {"properties": {"id": {"type": "integer"}}}, "headers": {"required": ["x-a"]},
        "body": {"properties": {"a/b": {"type": "integer"}, "l": {"items": {"type": "string"}}}}}))
    checked = inputs.check({"id": "x"}, {}, {}, b'{"a/b": "1", "l": ["a", 2]}')
    assert {(error.where, error.pointer) for error in checked.errors} == {
        ("path", "/id"), ("headers", ""), ("body", "/a~1b"), ("body", "/l/1")}


@pytest.mark.parametrize("schema", [None, {"properties": {"id": {"type": "integer"}}}, {"required": ["id"]}])
def test_parameter_of_the_path_is_required_though_no_schema_says_so(schema: Any) -> None:
    # a call by the name of its operation may leave it out, and what it is a part of would be everybody's
    inputs = InputValidator(Operation.model_validate({
        "name": "o", "method": "GET", "path": "/things/{id}/{part}", "workflow": "w",
        "input": {} if schema is None else {"path": schema}}))
    errors = inputs.check({"part": "x"}, {}, {}, b"").errors
    assert [(error.where, error.pointer, error.message) for error in errors] == [
        ("path", "", '"id" is a required property')]
    assert inputs.check({"id": "7", "part": "x"}, {}, {}, b"").errors == []


def test_body_that_somebody_has_read_is_checked_as_it_was_read() -> None:
    inputs = InputValidator(operation(input={"body": {"type": "integer"}}))
    assert inputs.check({"id": "1"}, {}, {}, b"1", 1).errors == []
    assert [error.where for error in inputs.check({"id": "1"}, {}, {}, b"null", None).errors] == ["body"]


def test_long_values_are_not_echoed() -> None:
    inputs = InputValidator(operation(input={"body": {"type": "integer"}}))
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


def test_headers_of_a_call_are_checked_as_the_types_of_their_schema_and_without_the_case_of_their_names() -> None:
    inputs = InputValidator(operation(input={"headers": {
        "required": ["X-Left"], "properties": {"X-Left": {"type": "integer"}, "x-told": {"type": "boolean"}, "X-Ids": {
            "type": "array", "items": {"type": "integer"}, "maxItems": 2}}}}))
    for headers in ({"x-left": "7", "x-told": "true", "user-agent": "curl"}, {"x-left": "7", "x-ids": "5"},
                    {"x-left": "7", "x-ids": ""}, {"x-left": "7", "x-ids": "1, 2,"}):
        assert inputs.check({"id": "1"}, {}, headers, b"").errors == []
    for headers in ({}, {"x-left": "many"}, {"x-left": "7", "x-told": "7"}, {"x-left": "7", "x-ids": "1,2,3"}):
        assert [error.where for error in inputs.check({"id": "1"}, {}, headers, b"").errors] == ["headers"]


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
    # a proof that is no good, a key of another request, and who asks for the answer later
    assert {"202", "400", "401", "409"} <= set(document["paths"]["/info"]["get"]["responses"])
    assert {(one["name"], one["in"]) for one in document["paths"]["/employees"]["get"]["parameters"]} == {
        ("department", "query"), ("limit", "query")}


def test_openapi_names_the_headers_that_a_call_has_to_have_and_the_statuses_of_policies() -> None:
    loaded = load_project({
        "weir.yaml": "name: shop\n", "workflows/w.yaml": "steps:\n  - {id: r, reply: {body: 1}}\n",
        "operations.yaml": "operations:\n  - name: order\n    method: POST\n    path: /orders\n    workflow: w\n"
                           "    idempotency: {required: true}\n"
                           "    input: {headers: {allOf: [{required: [X-Shop, x-till]}]}}\n"
                           "    replies: {success: {}, sold_out: {status: 409}}\n",
        "access.yaml": "headers: [{require: [x-shop, x-zone], match: {x-zone: '^[a-z]+$'}},\n"
                       "          {operations: [order], require: [x-area]}]\n"
                       "policies:\n  - {name: closed, action: reject, status: 423, rules: [{method: POST}]}\n"
                       "  - {name: tried, action: reject, status: 418, mode: observe, rules: [{method: POST}]}\n"})
    assert loaded.project is not None, loaded.problems
    document = openapi(loaded.project, "/shop")
    validate(document)
    order = document["paths"]["/orders"]["post"]
    assert [one["description"] for one in order["parameters"] if one["name"] == "x-zone"] == ["Has to match ^[a-z]+$"]
    assert [(one["name"], one["in"], one["required"]) for one in order["parameters"]] == [
        (name, "header", True) for name in ("X-Shop", "x-till", "Idempotency-Key", "x-zone", "x-area")]
    assert "423" in order["responses"]
    assert "418" not in order["responses"]
    assert set(order["responses"]["409"]["content"]) == {"application/json", "application/problem+json"}
    # of the platform's own answer of that status
    assert set(order["responses"]["409"]["headers"]) == {"Retry-After", "X-Request-Id"}


def test_openapi_tells_how_to_ask_for_a_result_where_there_may_be_one() -> None:
    document = openapi(example(), "/employee-directory")
    asked = document["paths"]["/-/executions/{id}"]["get"]
    told = ExecutionResult(id="e", operation="o", client="c", state="running", accepted=1)
    answered = told.answered(ReplyRecord.of_json("e", 200, {"n": 1}, {}), 2, 3, ("s",), well=True)
    inside = {**document["components"]["schemas"]["Execution"], "unevaluatedProperties": False}
    for one in (told, answered):
        Draft202012Validator(inside).validate(json.loads(orjson.dumps(one.to_doc())))
    assert [one["name"] for one in asked["parameters"]] == ["id"]
    # the result of a public operation is for whoever knows its id
    assert asked["security"] == [*document["security"], {}]
    assert {"200", "401", "404", "429", "503"} <= set(asked["responses"])
    heard = {"name": "p", "operations": [{"name": "o", "method": "GET", "path": "/o", "workflow": "w",
                                          "mode": "events"}]}
    assert set(openapi(Project.model_validate(heard), "/p")["paths"]) == {"/o"}


@pytest.mark.parametrize(("method", "body", "told"), [
    ("POST", None, {"content": {"application/json": {"schema": {}}}}), ("GET", None, None), ("DELETE", None, None),
    ("PUT", True, {"required": True, "content": {"application/json": {"schema": True}}})])
def test_openapi_lets_a_call_have_a_body_that_no_schema_describes(method: str, body: Any, told: Any) -> None:
    project = Project.model_validate({"name": "p", "operations": [{
        "name": "o", "method": method, "path": "/o", "workflow": "w",
        "input": {} if body is None else {"body": body}}]})
    document = openapi(project, "/p")
    validate(document)
    assert document["paths"]["/o"][method.lower()].get("requestBody") == told


def test_openapi_has_one_path_for_those_that_differ_in_names_alone() -> None:
    project = Project.model_validate({"name": "p", "operations": [
        {"name": name, "method": method, "path": path, "workflow": "w", "input": {"path": {"properties": {
            own: {"type": "integer", "maximum": most}}}}}
        for name, method, path, own, most in (("see", "GET", "/a/{id}/{of}", "of", 1),
                                              ("put", "PUT", "/a/{key}/{id}", "id", 2))]})
    document = openapi(project, "/p")
    validate(document)
    shared = document["paths"]["/a/{id}/{of}"]
    assert list(document["paths"]) == ["/a/{id}/{of}", "/-/executions/{id}"]
    # a part of a path is what stands there, whoever gives it a name
    assert {method: {one["name"]: one["schema"].get("maximum") for one in shared[method]["parameters"]}
            for method in shared} == {"get": {"id": None, "of": 1}, "put": {"id": None, "of": 2}}


def test_openapi_says_what_answers_are_made_of() -> None:
    document = openapi(example(), "/employee-directory")
    parts = document["components"]
    assert {"policy", "limit", "allowance", "signal", "step", "attempt", "error", "upstream_status", "execution",
            "result"} <= set(parts["schemas"]["Problem"]["properties"])
    assert "Retry-After" in parts["responses"]["Problem403"]["headers"]
    later = document["paths"]["/info"]["get"]["responses"]["202"]
    # who waits for less time than it takes gets 504
    assert "wait" not in later["description"]
    assert set(later["headers"]) == {"X-Request-Id", "Location", "Preference-Applied"}
    assert later["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}}


@cache
def published(file: str) -> Draft202012Validator:
    key = "workflows/*.yaml" if file.startswith("workflows/") else file
    return Draft202012Validator({**project_schema(), "$ref": f"#/$defs/{key.replace('/', '~1')}"})


def whole_files() -> Iterator[tuple[str, str, str]]:
    """Where it is written, its name in a project, its text: those of the examples, and workflows in the manuals."""
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        name = path.relative_to(ROOT / "examples").as_posix().partition("/")[2]
        if is_project_file(name):
            yield str(path.relative_to(ROOT)), name, path.read_text()
    for page in sorted((ROOT / "docs").glob("*.md")):
        for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)):
            if re.search("^steps:", text, re.MULTILINE):
                yield f"{page.name} {number}", "workflows/any.yaml", text


WHOLE = list(whole_files())


def test_manuals_have_workflows_that_are_whole_files() -> None:
    assert len([name for _, name, _ in WHOLE if name == "workflows/any.yaml"]) > 10


@pytest.mark.parametrize(("file", "text"), [one[1:] for one in WHOLE], ids=[one[0] for one in WHOLE])
def test_published_schema_accepts_what_is_written_and_refuses_unknown_keys(file: str, text: str) -> None:
    validator = published(file)
    document = YAML(typ="safe", pure=True).load(text)
    assert [error.message for error in validator.iter_errors(document)] == []
    assert not validator.is_valid({**document, "unknown": 1})


@pytest.mark.parametrize(("step", "fits"), [
    ("{ id: a, stop: }", True), ("{ id: a, stop: {} }", True), ("{ id: a, retry: { on: [503, 5xx] }, reply: }", True),
    ("{ id: a, if: 'true', timeout: 1s, mask: true, on_error: continue, fallback: null, delay: { for: 1s } }", True),
    ("{ id: a, transform: { value: 1 }, catch: [{ id: b, stop: }] }", True), ("{ id: a, transform: }", False),
    ("{ id: a, timeuot: 1s, stop: }", False), ("{ id: a, stop: , reply: }", False), ("{ id: a }", False),
    ("{ id: a, stop: , catch: [{ id: b }] }", False), ("{ id: a, kind: stop, settings: {} }", False)])
def test_published_schema_and_validation_agree_on_a_step(step: str, fits: bool) -> None:
    document = YAML(typ="safe", pure=True).load(f"steps: [{step}]")
    assert published("workflows/any.yaml").is_valid(document) is fits
    said = load_project({"weir.yaml": "name: p\n", "workflows/w.yaml": f"steps: [{step}]"}).problems
    assert fits != any(problem.code in ("shape", "unknown-key") for problem in said)



def test_body_that_is_nested_too_deep_to_be_told_of_is_refused_like_any_other() -> None:
    validator = InputValidator(operation(input={"body": {"type": "object"}}))
    checked = validator.check({"id": "1"}, {}, {}, b"[" * 900 + b"]" * 900)
    assert [(error.where, "nested too deep" in error.message) for error in checked.errors] == [("body", True)]
