"""What a workflow costs before it runs."""

from typing import Any

import pytest

from shared.project.cost import CEILING, cost_of
from shared.project.model import Project

X: dict[str, Any] = {"id": "x", "transform": {"value": 1}}
REPLY: dict[str, Any] = {"id": "r", "reply": {}}


@pytest.mark.parametrize(("steps", "told"), [
    ([REPLY], "2 tasks"), ([X, REPLY, X], "3 tasks"), ([{**X, "if": "a"}, REPLY], "2 to 3 tasks"),
    ([{**REPLY, "if": "a"}, X, REPLY], "2 to 3 tasks"),
    ([{"id": "b", "branch": {"if": "a", "then": [X, X]}}, REPLY], "3 to 5 tasks"),
    ([{"id": "b", "branch": {"if": "a", "then": [REPLY], "else": [X]}}, X, REPLY], "3 to 5 tasks"),
    ([{"id": "s", "switch": {"value": "a", "cases": {"b": [X], "c": [X, X]}, "default": [X]}}, REPLY], "4 to 5 tasks"),
    ([{"id": "p", "parallel": {"branches": {"a": [X], "b": [X, X]}}}, REPLY], "6 tasks"),
    ([{"id": "c", "call": {"workflow": "other"}}, REPLY], "5 tasks"),
    ([{"id": "c", "call": {"workflow": "other", "wait": False}}, REPLY], "3 to 5 tasks"),
    ([{"id": "f", "fail": {"message": "x"}, "catch": [X, REPLY]}], "4 tasks"),
    ([{**X, "catch": [X]}, REPLY], "3 to 4 tasks"),
    ([{**X, "retry": {"attempts": 3}}, REPLY], "3 tasks"),
    ([{"id": "c", "call": {"workflow": "other"}, "retry": {"attempts": 3}}, REPLY], "5 to 9 tasks"),
    ([{"id": "l", "loop": {"over": [1], "steps": [X]}}, REPLY],
     "at least 3 tasks, more with each pass of its loops"),
], ids=lambda value: value if isinstance(value, str) else None)
def test_least_and_most(steps: list[dict[str, Any]], told: str) -> None:
    project = Project.model_validate({"name": "p", "workflows": {
        "w": {"name": "w", "steps": steps}, "other": {"name": "other", "steps": [X, REPLY]}}})
    assert str(cost_of(project, "w")) == told


def test_long_row_of_calls_has_a_cost_and_each_workflow_is_asked_once() -> None:
    calls = {f"w{i}": [{"id": f"c{n}", "call": {"workflow": f"w{i + 1}"}} for n in range(2)] for i in range(400)}
    project = Project.model_validate({"name": "p", "workflows": {
        name: {"name": name, "steps": steps} for name, steps in {**calls, "w400": [REPLY]}.items()}})
    # twice what the next one costs, and the two calls themselves
    cost = cost_of(project, "w0")
    assert cost.least == CEILING == 2**53 - 1
    assert str(cost) == "more than 9007199254740990 tasks"
