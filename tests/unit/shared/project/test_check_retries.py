"""Which kinds of errors a step may be tried again for."""

import re
import time

import pytest

from shared.names.reasons import STEP_ERRORS, Reason
from shared.project.check_retries import check_retry, kinds_in
from shared.project.model import Workflow
from shared.project.steps.base import Step, StepSettings
from shared.project.steps.registry import STEP_SETTINGS
from tests.support.platform import ROOT
from tests.unit.shared.project.test_check_workflows import ANSWER, problems

_RAISED = re.compile(r'(?:kind=|"error": |: \()"([a-z]+(?:-[a-z]+)+)"')


def test_kinds_that_are_told_are_those_that_steps_fail_with() -> None:
    sources = [*(ROOT / "services/executor").rglob("*.py"), ROOT / "shared/project/expressions.py"]
    raised = {kind for source in sources for kind in _RAISED.findall(source.read_text())}
    assert raised == STEP_ERRORS - set(Reason) | {Reason.INPUT_INVALID}


def test_kind_of_the_owner_is_known_in_all_workflows_of_the_project() -> None:
    retried = "steps:\n  - { id: c, retry: { on: [sold-out] }, call: { workflow: a } }\n" + ANSWER
    fails = "steps:\n  - { id: f, fail: { message: x, error: %s } }\n"
    assert problems(retried, a=fails % "sold-out") == []
    found, = problems(retried, a=fails % "gone")
    assert (found.line, found.column) == (2, 28)
    assert "and the kinds gone, address-refused, " in found.message
    # nobody knows what a malformed one says
    assert "sold-out" not in str(problems(retried, a=fails % "gone", b="steps: 1\n"))


def test_many_kinds_that_are_wrong_are_not_compared_with_all_of_many_that_are_right() -> None:
    own = frozenset(f"kindly-{number}" for number in range(2_000))
    step = Step.model_validate({"id": "s", "transform": {"value": 1}, "retry": {
        "on": [f"kind-{number}" for number in range(100)]}})
    began = time.process_time()
    found = [says for _, says in check_retry(step, own)]
    assert time.process_time() - began < 1
    assert (len(found), max(map(len, found)) < 2_000) == (100, True)
    assert "perhaps 'kindly-0' is meant" in found[0]
    assert found[0].endswith(", and 1950 more of this project")


def test_connector_may_have_kinds_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STEP_SETTINGS, "own", StepSettings)
    step = {"id": "s", "retry": {"on": ["theirs"]}, "transform": {"value": 1}}
    workflow = Workflow.model_validate({"name": "w", "steps": [step]})
    other = Workflow.model_validate({"name": "x", "steps": [{"id": "o", "own": {}}]})
    assert kinds_in([workflow, other]) is None
    assert list(check_retry(Step.model_validate(step), None)) == []
    assert list(check_retry(Step.model_validate(step), kinds_in([workflow]))) != []
