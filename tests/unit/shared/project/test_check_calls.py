"""What validation says of chains of calls, with the place."""

import time
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from shared.project.calls import MAX_CALL_DEPTH, called_first, rings
from shared.project.check_calls import check_calls
from shared.project.load import load_project
from shared.project.model import Operation, Workflow
from shared.project.places import Source
from tests.unit.shared.project.test_check_workflows import ANSWER, OPERATIONS, only, problems

CALL = "steps:\n  - { id: c, call: { workflow: %s } }\n" + ANSWER


@given(st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=6, max_size=6))
def test_ring_is_who_leads_to_each_other(graph: list[list[int]]) -> None:
    called = {str(number): [str(other) for other in others] for number, others in enumerate(graph)}
    reached = {name: set(called_first([name], called.__getitem__)) for name in called}
    ring = rings(called)
    for one in called:
        for other in called:
            assert (ring[one] == ring[other]) == (one in reached[other] and other in reached[one])


@pytest.mark.parametrize(("calls", "told"), [
    ("c1", ["w -> c1 -> c2 -> w"]), ("c2", ["w -> c2 -> w"])], ids=["all in one circle", "the shorter way"])
def test_circle_is_told_on_its_shortest_way(calls: str, told: list[str]) -> None:
    others = {"c1": "c2", "c2": "w", "outside": "w"}
    found = problems(CALL % calls, **{name: CALL % called for name, called in others.items()})
    assert {one.file for one in found} == {"workflows/w.yaml", "workflows/c2.yaml"} | (
        {"workflows/c1.yaml"} if calls == "c1" else set())
    assert [one.message.partition(": ")[2] for one in found if one.file == "workflows/w.yaml"] == told


NAMED = "steps:\n  - { id: r, reply: { name: not_found } }\n"


@pytest.mark.parametrize("operation", [
    "  - { name: x, method: GET, path: /x, workflow: w, replies: { not_found: { status: 404 } } }\n",
    "  - { name: x }\n"], ids=["declared elsewhere", "malformed"])
def test_reply_by_a_name_that_no_operation_declares_has_no_status_for_a_caller(operation: str) -> None:
    files = {"weir.yaml": "name: p\n", "operations.yaml": OPERATIONS, "workflows/w.yaml": CALL % "part",
             "workflows/part.yaml": NAMED}
    found, = load_project(files).problems
    assert str(found) == (
        "workflows/part.yaml:2:23: no operation declares a reply 'not_found', so whoever calls this workflow cannot "
        "tell whether it is an error; give it a `status` here, or in an operation [dangling]")
    files["operations.yaml"] += operation
    assert [one for one in load_project(files).problems if one.code == "dangling"] == []


def row(length: int) -> dict[str, str]:
    """Calls in a row, made by `w` and those that it calls."""
    names = ["w", *(f"c{number}" for number in range(1, length + 1))]
    return {name: "steps:\n  - { id: s, stop: }\n" if called is None else
            CALL % called
            for name, called in zip_longest(names, names[1:])}


def test_chain_of_calls_may_be_as_long_as_executors_follow_it() -> None:
    files = row(MAX_CALL_DEPTH)
    assert problems(files.pop("w"), **files) == []


@pytest.mark.parametrize("calls", [
    "  - { id: c, call: { workflow: c1 } }\n", "  - { id: c, call: { workflow: c1, wait: false } }\n",
    "  - { id: c, loop: { over: [1], steps: [{ id: x, call: { workflow: c1 } }] } }\n",
    "  - { id: c, fail: { message: x }, catch: [{ id: x, call: { workflow: c1 } }] }\n",
    "  - { id: s, call: { workflow: c2 } }\n  - { id: c, call: { workflow: c1 } }\n",
    "  - { id: c, call: { workflow: c1 } }\n  - { id: s, call: { workflow: c1 } }\n"])
def test_longer_chain_of_calls_is_told_where_it_begins(calls: str) -> None:
    found = only("steps:\n" + calls + ANSWER, **{
        name: text for name, text in row(MAX_CALL_DEPTH + 1).items() if name != "w"})
    line = next(number for number, text in enumerate(calls.splitlines(), 2) if "c1" in text)
    column = calls.splitlines()[line - 2].index("workflow: c1") + 1
    assert (found.file, found.code, found.line, found.column) == ("workflows/w.yaml", "too-deep", line, column)
    assert found.message == (
        "33 calls stand one inside the other from here on (w -> c1 -> c2 -> c3 -> c4 -> ... -> c29 -> c30 -> c31 -> "
        "c32 -> c33), and executors follow no more than 32: put the steps of some of these workflows into those that "
        "call them")


def test_chain_of_calls_that_no_operation_begins_is_told_as_well() -> None:
    chain = {name.replace("w", "c0"): text for name, text in row(MAX_CALL_DEPTH + 1).items()}
    assert only("steps:\n" + ANSWER, **chain).file == "workflows/c0.yaml"


@pytest.mark.parametrize(("last", "code", "told"), [("reply: {}", "too-deep", 1),
                                                    ("call: { workflow: c0 }", "cycle", 300)])
def test_very_long_row_of_calls_is_refused_soon(last: str, code: str, told: int) -> None:
    length = 2_000 if code == "too-deep" else 300
    workflows = {f"c{n}": (Workflow.model_validate({"name": f"c{n}", "steps": [
        {"id": "c", "call": {"workflow": f"c{n + 1}"}} if n + 1 < length else {"id": "c", **YAML().load(last)}]}),
        Source(f"workflows/c{n}.yaml")) for n in range(length)}
    began = time.process_time()
    found = list(check_calls(workflows, (), set(workflows)))
    assert ({one.code for one in found}, len(found)) == ({code}, told)
    assert time.process_time() - began < 1


def test_hundreds_of_calls_of_one_workflow_read_its_schema_once() -> None:
    large = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(300)}}
    steps = [{"id": f"c{n}", "call": {"workflow": "large", "input": {"p1": 1}}} for n in range(1_000)]
    workflows = {name: (Workflow.model_validate({"name": name, "input": large, "steps": made}),
                        Source(f"workflows/{name}.yaml"))
                 for name, made in {"w": steps, "large": [{"id": "r", "reply": {}}]}.items()}
    began = time.process_time()
    found = list(check_calls(workflows, (), set(workflows)))
    assert ({one.code for one in found}, len(found)) == ({"misfit"}, 1_000)
    assert time.process_time() - began < 1


def test_hundreds_of_operations_whose_workflows_lead_to_all_others_are_asked_for_events_soon() -> None:
    workflows = {f"c{n}": (Workflow.model_validate({"name": f"c{n}", "steps": [
        *({"id": f"a{m}", "transform": {"value": m}} for m in range(9)),
        {"id": "c", "call": {"workflow": f"c{n + 1}"}} if n < 599 else {"id": "c", "reply": {}}]}),
        Source(f"workflows/c{n}.yaml")) for n in range(600)}
    operations = [Operation.model_validate({"name": name, "method": "GET", "path": f"/{name}", "workflow": name})
                  for name in workflows]
    began = time.process_time()
    assert {one.code for one in check_calls(workflows, operations, set(workflows))} == {"too-deep"}
    assert time.process_time() - began < 1
