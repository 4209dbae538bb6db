"""Answers in an OpenAPI document: what a workflow gives and a caller can meet, and nothing of how."""

from typing import Any

import pytest
from openapi_spec_validator import validate

from shared.project.model import Project
from shared.project.openapi import openapi

ONE, TWO = {"required": ["one"]}, {"type": "string"}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
ANY = {"application/json": {"schema": {}}}
TEXT = {"headers": {"Content-Type": "Text/CSV; charset=utf-8"}, "body": "a,b"}
FAIL = {"fail": {"message": "no", "status": 422}}


def described(steps: list[dict[str, Any]], operation: dict[str, Any] | None = None, **project: Any) -> Any:
    """The operation in the document. `steps`: without their ids."""
    document = openapi(Project.model_validate({"name": "p", **project, "workflows": {
        "w": {"name": "w", "steps": numbered(steps)},
        "other": {"name": "other", "steps": numbered([FAIL, {"call": {"workflow": "w"}}, {"reply": {"status": 451}}])}},
        "operations": [{"name": "o", "method": "POST", "path": "/o", "workflow": "w", **(operation or {})}]}), "/p")
    validate(document)
    return document["paths"]["/o"]["post"]


def numbered(steps: Any) -> Any:
    return [{"id": f"s{index}", **step} for index, step in enumerate([{"transform": {"value": 1}}, *steps])]


def replies(*steps: dict[str, Any], **declared: Any) -> Any:
    told = described([{"reply": step} for step in steps], {"replies": declared})["responses"]
    return {int(status): answer.get("content") for status, answer in told.items()
            if "$ref" not in answer and status != "202"}


@pytest.mark.parametrize(("steps", "declared", "told"), [
    ([{"body": 1}], {}, {200: ANY}),
    # of a workflow that gives none, and of a reply that no step gives, the schema alone tells
    ([{}], {}, {200: None}), ([], {}, {200: ANY}),
    ([], {"success": {"body": ONE}}, {200: {"application/json": {"schema": ONE}}}),
    ([{"body": 1}], {"success": {}}, {200: ANY}),
    ([{}], {"success": {"body": True}}, {200: {"application/json": {"schema": True}}}),
    # another status than is declared
    ([{"status": 203, "body": 1}, {"status": 204}, {"status": 205, "body": 1}], {"success": {"body": ONE}}, {
        200: {"application/json": {"schema": ONE}}, 203: {"application/json": {"schema": ONE}}, 204: None, 205: None}),
    ([{"status": 422, "body": 1}], {"bad": {"status": 422, "body": TWO}}, {
        422: {"application/json": {"schema": TWO}}}),
    # several of one status
    ([{"body": 1}, {"name": "two", "body": 1}], {"success": {"body": ONE}, "two": {"status": 200, "body": TWO}}, {
        200: {"application/json": {"schema": {"anyOf": [ONE, TWO]}}}}),
    ([{"body": 1}, {"name": "two", "body": 1}], {"success": {"body": ONE}, "two": {"status": 200}}, {
        200: {"application/json": {"schema": {"anyOf": [ONE, {}]}}}}),
    ([{"body": 1}, {"name": "two", **TEXT}], {"success": {"body": ONE}, "two": {"status": 200, "body": TWO}}, {
        200: {"application/json": {"schema": ONE}, "text/csv": {"schema": TWO}}}),
    # another media type
    ([TEXT], {}, {200: {"text/csv": {"schema": TWO}}}),
    ([TEXT], {"success": {"body": TWO}}, {200: {"text/csv": {"schema": TWO}}}),
    ([{"headers": {"content-type": "{% config.media %}"}, "body": "x"}], {}, {200: {"*/*": {"schema": {}}}})])
def test_replies_are_those_that_are_declared_and_those_that_the_steps_give(
        steps: list[Any], declared: Any, told: Any) -> None:
    assert replies(*steps, **declared) == told


@pytest.mark.parametrize(("steps", "statuses"), [
    ([FAIL], {"422"}), ([{"branch": {"if": "true", "then": numbered([FAIL])}}], {"422"}),
    ([{"call": {"workflow": "other"}}], {"422"}), ([{"call": {"workflow": "other", "wait": False}}], set()),
    # whoever handles it gives another answer, unless that fails, too
    ([{**FAIL, "fallback": 1}], set()), ([{**FAIL, "on_error": "continue"}], set()),
    ([{"call": {"workflow": "other"}, "fallback": None}], set()),
    ([{"call": {"workflow": "other"}, "catch": numbered([{"fail": {"message": "no", "status": 418}}])}], {"418"}),
    ([{"loop": {"over": [1], "steps": numbered([FAIL])}, "fallback": 1}], set())])
@pytest.mark.parametrize("mode", ["request_response", "events", "validate", "fire_and_forget"])
def test_errors_of_a_workflow_have_the_statuses_that_its_steps_say(
        steps: list[Any], statuses: set[str], mode: str) -> None:
    told = described([*steps, {"reply": {"body": 1}}], {"mode": mode})["responses"]
    own = {status: answer for status, answer in told.items() if status in ("418", "422", "451")}
    # nobody waits for one who is answered at once
    assert own.keys() == (statuses if mode in ("request_response", "events") else set())
    assert all(answer["content"] == PROBLEM for answer in own.values())


def test_stream_has_the_answers_that_may_come_before_it_begins() -> None:
    told = described([{"reply": {"name": "gone", "body": {}}}, {"emit": {"data": 1}}, {"reply": {"body": 1}}],
                     {"mode": "events", "replies": {"gone": {"status": 410, "body": ONE}, "success": {}}})["responses"]
    assert told["410"]["content"] == {"application/json": {"schema": ONE}}
    assert list(told["200"]["content"]) == ["text/event-stream"]
    assert "202" not in told


def test_refusal_of_a_status_that_the_workflow_gives_too_is_beside_its_reply() -> None:
    told = described([{"reply": {"name": "gone", **TEXT}}, FAIL], {"replies": {"gone": {"status": 410}}}, policies=[
        {"name": "closed", "action": "reject", "status": 410, "rules": [{"method": "POST"}]}])["responses"]
    assert told["410"]["content"] == {"text/csv": {"schema": TWO}, **PROBLEM}


@pytest.mark.parametrize(("asked", "body", "told"), [
    ([["text/csv"]], None, {"text/csv": {"schema": {"type": "string"}}}),
    ([["text/*", "application/xml"], ["application/*"]], None, {"application/xml": {"schema": {}}}),
    ([["application/x-www-form-urlencoded", "multipart/form-data"]], None, {
        "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
        "multipart/form-data": {"schema": {"type": "object"}}}),
    ([["application/merge-patch+json", "text/csv"]], ONE, {"application/merge-patch+json": {"schema": ONE}}),
    ([["text/*"]], ONE, {"application/json": {"schema": ONE}}), ([], None, {"application/json": {"schema": {}}})])
def test_body_is_of_the_media_types_that_are_asked_for(asked: list[Any], body: Any, told: Any) -> None:
    operation = described([], {"input": {} if body is None else {"body": body}}, headers=[
        *({"content_types": one} for one in asked), {"operations": ["p"], "content_types": ["image/png"]}])
    assert operation["requestBody"]["content"] == told
    assert ("415" in operation["responses"], "408" in operation["responses"]) == (bool(asked or body), True)


def test_results_are_asked_for_as_the_whole_project_wants_it() -> None:
    project = Project.model_validate({
        "name": "p", "headers": [{"require": ["x-tenant"]}], "operations": [
            {"name": "o", "method": "POST", "path": "/o", "workflow": "w", "idempotency": {"required": True}}],
        "policies": [{"name": "closed", "action": "reject", "status": 423, "rules": [{"method": "GET"}]}]})
    document = openapi(project, "/p")
    validate(document)
    asked = document["paths"]["/-/executions/{id}"]["get"]
    assert [(one["name"], one["required"]) for one in asked["parameters"]] == [("id", True), ("x-tenant", True)]
    assert {"200", "400", "404", "405", "413", "423"} <= set(asked["responses"])
    key, = (one["schema"] for one in document["paths"]["/o"]["post"]["parameters"] if one["name"] == "Idempotency-Key")
    assert (key["minLength"], key["maxLength"]) == (1, 255)
