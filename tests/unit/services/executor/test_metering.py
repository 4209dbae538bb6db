"""What is a task: one test per row of the page, and random workflows against a count of their own."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.reply import ReplyRecord
from shared.project.cost import cost_of
from shared.project.model import Project
from tests.support.platform import ROOT
from tests.unit.services.executor.test_run import perform

Json = dict[str, Any]
ANSWER: Json = {"id": "answer", "reply": {"body": 1}}
CALLED = {"other": {"name": "other", "steps": [{"id": "y", "transform": {"value": 1}}, {"id": "back", "reply": {}}]}}


def step(step_id: str, **more: Any) -> Json:
    return {"id": step_id, "transform": {"value": 1}, **more}


def failing(**more: Any) -> Json:
    return {"id": "f", "fail": {"message": "x", "error": "mine"}, **more}


# row of the page, steps beside the trigger and the answer, what the row alone adds
ROWS: dict[str, tuple[list[Json], int]] = {
    "a call is let in and its workflow starts": ([], 0),
    "a step runs": ([step("a")], 1),
    "a step is skipped by its `if`": ([step("a", **{"if": "false"})], 0),
    "a step is tried again": ([failing(retry={"attempts": 4, "delay": "1ms", "on": ["mine"]}, fallback=1)], 1),
    "a step that holds others, or calls a workflow, is tried again": ([
        {"id": "b", "branch": {"if": "true", "then": [step("x"), failing()]}, "fallback": 1,
         "retry": {"attempts": 3, "delay": "1ms", "on": ["mine"]}}], 1 + 3 * 2),
    "a step fails and is handled": ([failing(catch=[step("a"), step("b")])], 3),
    "a branch or a switch runs": ([{"id": "b", "branch": {"if": "true", "then": [step("x")], "else": [step("y")]}},
                                   {"id": "s", "switch": {"value": "k", "cases": {"k": [step("z")]}}}], 4),
    "a loop runs": ([{"id": "l", "loop": {"over": [1, 2, 3], "steps": [step("x"), step("y")]}}], 7),
    "branches run in parallel": ([{"id": "p", "parallel": {"branches": {"a": [step("x")], "b": [step("y")]}}}], 3),
    "a workflow is called": ([{"id": "c", "call": {"workflow": "other"}}], 3),
    "a workflow is called and not waited for": ([{"id": "c", "call": {"workflow": "other", "wait": False}}], 3),
}
# what never reaches the walk is counted by the tests of whole requests
ELSEWHERE = {"an operation of another project is called", "a durable execution waits, and goes on",
             "a failed execution is resumed",
             "a call is refused, or its time is over, or its caller gone, before its workflow starts",
             "an operator cancels a call before its workflow starts",
             "an execution cannot go on: a workflow that it calls is stopped"}


def test_page_and_tests_have_the_same_rows() -> None:
    rows = re.findall(r"^\| ([a-z].*?) \|", (ROOT / "docs/tasks.md").read_text(), re.MULTILINE)
    assert set(rows) - {"what happens"} == set(ROWS) | ELSEWHERE


@pytest.mark.parametrize("row", ROWS)
async def test_row_of_the_page(row: str) -> None:
    steps, added = ROWS[row]
    _, scene = await perform([*steps, ANSWER], others=CALLED)
    assert scene.tally.tasks == 2 + added


@dataclass
class Count:
    """A count of its own: what a workflow runs, read from its definition and its trigger."""

    tasks: int = 1
    replied: list[Any] = field(default_factory=list)

    def steps(self, steps: list[Json]) -> str:
        """`on`, or why it went no further: reply, fail, break, continue."""
        for one in steps:
            if one.get("if") == "false":
                continue
            self.tasks += 1
            end = self.one(one)
            for _ in range(one["retry"]["attempts"] - 1 if "retry" in one else 0):
                end = self.one(one) if end == "fail" else end
            if end == "fail" and "catch" in one:
                end = self.steps(one["catch"])
            elif end == "fail" and "fallback" in one:
                end = "on"
            if end != "on":
                return end
        return "on"

    def one(self, one: Json) -> str:
        kind = next(key for key in one if key in KINDS)
        body = one[kind]
        if kind == "branch":
            return self.steps(body["then"] if body["if"] == "true" else body["else"])
        if kind == "switch":
            return self.steps(body["cases"].get(body["value"], body.get("default", [])))
        # a call: its step, its reply
        self.tasks += 2 * (kind == "call")
        if kind == "parallel":
            for branch in body["branches"].values():
                self.steps(branch)
        if kind == "loop":
            for _ in body["over"]:
                end = self.steps(body["steps"])
                if end in ("reply", "fail"):
                    return end
                if end == "break":
                    break
        if kind == "reply":
            self.replied.append(body["body"])
        return kind if kind in ("reply", "fail", "break", "continue") else "on"


KINDS = ("transform", "call", "branch", "switch", "loop", "parallel", "reply", "fail", "break", "continue")


@st.composite
def lists(draw: st.DrawFn, depth: int = 3, *, loop: bool = False, apart: bool = False) -> list[Json]:
    kinds = ["transform", "call", "fail"] + (["break", "continue"] if loop else []) + ([] if apart else ["reply"])
    if depth:
        kinds += ["branch", "switch", "loop", "parallel"] * 2
    return [draw(steps_of(draw(st.sampled_from(kinds)), depth, loop=loop, apart=apart))
            for _ in range(draw(st.integers(1, 3)))]


@st.composite
def steps_of(draw: st.DrawFn, kind: str, depth: int, *, loop: bool, apart: bool) -> Json:
    def inner(*, in_loop: bool = loop, beside: bool = apart) -> list[Json]:
        return draw(lists(depth - 1, loop=in_loop, apart=beside))
    condition = draw(st.sampled_from(["true", "false"]))
    body: Json = {"transform": {"value": 1}, "fail": {"message": "x"}, "reply": {"body": draw(st.integers(0, 9))},
                  "call": {"workflow": "other", "input": 1}}.get(kind, {})
    if kind == "branch":
        body = {"if": condition, "then": inner(), "else": inner()}
    elif kind == "switch":
        body = {"value": draw(st.sampled_from(["a", "b", "c"])), "cases": {"a": inner(), "b": inner()}}
    elif kind == "loop":
        body = {"over": [1] * draw(st.integers(0, 3)), "steps": inner(in_loop=True, beside=apart)}
    elif kind == "parallel":
        # a branch that fails ends the others wherever they are: how much they ran is nobody's promise
        body = {"branches": {name: [step("x")] * draw(st.integers(1, 2)) for name in ("a", "b")}}
    made: Json = {"id": "x", kind: body}
    if kind in ("fail", "branch", "switch", "loop") and draw(st.integers(0, 4)) == 0:
        made["retry"] = {"attempts": 3, "delay": "1ms", "on": ["workflow-failed"]}
    if kind in ("fail", "branch", "loop") and draw(st.booleans()):
        if draw(st.booleans()):
            made["catch"] = [step("x")] if apart else draw(lists(0, loop=loop, apart=apart))
        else:
            made["fallback"] = None
    return {**made, "if": "false"} if draw(st.integers(0, 4)) == 0 else made


def numbered(steps: Any, names: Any) -> Any:
    """The same steps, each with an id of its own."""
    if isinstance(steps, list):
        return [numbered(one, names) for one in steps]
    if isinstance(steps, dict):
        return {key: next(names) if key == "id" else numbered(value, names) for key, value in steps.items()}
    return steps


@settings(max_examples=60, deadline=None)
@given(lists())
def test_random_workflow_costs_and_answers_what_an_independent_count_says(raw: list[Json]) -> None:
    steps = numbered([*raw, ANSWER], (f"s{number}" for number in range(100_000)))
    count = Count()
    end = count.steps(steps)
    made, scene = asyncio.run(perform(steps, others=CALLED, left_ms=60_000))
    assert scene.tally.tasks == count.tasks
    assert isinstance(made, ReplyRecord) == (end == "reply")
    assert len(count.replied) == (end == "reply")
    if end == "reply":
        assert made.body == str(count.replied[0]).encode()
        whole = {"w": {"name": "w", "steps": steps}, **CALLED}
        cost = cost_of(Project.model_validate({"name": "p", "workflows": whole}), "w")
        assert cost.least <= count.tasks
        assert cost.most is None or count.tasks <= cost.most


@settings(max_examples=60, deadline=None)
@given(lists())
def test_random_workflow_ends_the_same_way_with_a_coroutine_for_each_step_and_without(raw: list[Json]) -> None:
    steps = numbered([*raw, ANSWER], (f"s{number}" for number in range(100_000)))
    ends = []
    # each step of a sampled one has a span, and so a coroutine
    for traced in (None, []):
        made, scene = asyncio.run(perform(steps, others=CALLED, traced=traced, left_ms=60_000))
        error = None if isinstance(made, ReplyRecord) else (type(made), str(made), made.members)
        ends.append((made if error is None else error, scene.tally.tasks, scene.tally.at,
                     scene.scope["steps"], scene.scope["errors"]))
    assert ends[0] == ends[1]
