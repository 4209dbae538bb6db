"""Who waits for what, and for how long."""

import pytest

from shared.project.load import load_project
from shared.project.model import Operation
from shared.project.modes import Answering, answering


def operation(**more: object) -> Operation:
    return Operation.model_validate(
        {"name": "o", "method": "GET", "path": "/", "workflow": "w", "timeout": "10s", **more})


@pytest.mark.parametrize(("more", "prefer", "expected"), [
    ({}, None, Answering(False, True, 10_000, 300_000)),
    ({}, "wait=3", Answering(False, True, 3_000, 300_000, "wait=3")),
    ({}, "wait=60", Answering(False, True, 10_000, 300_000, "wait=10")),
    ({}, "wait=0", Answering(False, True, 1_000, 300_000, "wait=1")),
    ({}, "wait=3, wait=1", Answering(False, True, 3_000, 300_000, "wait=3")),
    ({}, "wait=x, handling=lenient", Answering(False, True, 10_000, 300_000)),
    ({}, "Respond-Async; x=1, wait=3", Answering(True, True, 10_000, 300_000, "respond-async")),
    ({}, 'x="a, respond-async, \\", respond-async", wait=3', Answering(False, True, 3_000, 300_000, "wait=3")),
    ({}, 'x="a, wait=3', Answering(False, True, 10_000, 300_000)),
    ({}, 'x="a,b", respond-async="", y', Answering(True, True, 10_000, 300_000, "respond-async")),
    ({"run_timeout": "10s"}, None, Answering(False, False, 10_000, 10_000)),
    ({"run_timeout": "10s"}, "wait=3", Answering(False, True, 3_000, 10_000, "wait=3")),
    ({"mode": "events"}, "wait=3", Answering(False, False, 10_000, 10_000)),
    ({"run_timeout": "60s"}, None, Answering(False, True, 10_000, 60_000)),
    ({"mode": "validate"}, None, Answering(True, True, 10_000, 300_000)),
    ({"mode": "validate"}, "wait=3", Answering(True, True, 10_000, 300_000)),
    ({"mode": "fire_and_forget", "run_timeout": "60s"}, None, Answering(True, False, 10_000, 60_000)),
    ({"mode": "fire_and_forget"}, "respond-async", Answering(True, True, 10_000, 300_000, "respond-async"))])
def test_mode_and_preference_say_how_a_call_is_answered(
        more: dict[str, object], prefer: str | None, expected: Answering) -> None:
    assert answering(operation(**more), prefer, edge=True) == expected


def test_work_of_a_service_that_waits_on_a_topic_ends_with_its_wait() -> None:
    assert answering(operation(), None, edge=False) == Answering(False, False, 10_000, 10_000)
    assert answering(operation(run_timeout="60s"), None, edge=False) == Answering(False, True, 10_000, 60_000)
    # of who does not wait it does not
    assert answering(operation(mode="fire_and_forget"), None, edge=False) == Answering(True, False, 10_000, 300_000)


@pytest.mark.parametrize(("line", "says"), [
    ("path: /-/mine", "Weir's own"), ("path: /x, run_timeout: 1s", "at least `timeout`"),
    ("path: /x, mode: later", "mode")])
def test_operation_that_cannot_be_is_refused(line: str, says: str) -> None:
    found = load_project({"weir.yaml": "name: p\n", "operations.yaml":
                          f"operations:\n  - {{ name: o, method: GET, workflow: w, {line} }}\n",
                          "workflows/w.yaml": "steps:\n  - { id: r, reply: {} }\n"}).problems
    assert len(found) == 1
    assert says in found[0].message


def test_workflow_that_nobody_waits_for_need_not_reply() -> None:
    files = {"weir.yaml": "name: p\n", "operations.yaml":
             "operations:\n  - { name: o, method: GET, path: /, workflow: w, mode: fire_and_forget }\n",
             "workflows/w.yaml": "steps:\n  - { id: x, transform: { value: 1 } }\n"}
    assert load_project(files).problems == ()
