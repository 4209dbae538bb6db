"""What owners say of traces."""

from typing import Any

from shared.project.load import load_project
from shared.project.model import Project
from shared.project.tracing import NEVER_US, NO_RULE, TraceRule


def rule(project: dict[str, Any], **operation: Any) -> TraceRule:
    made = Project.model_validate({
        "name": "p", "tracing": project, "workflows": {"w": {"name": "w", "steps": [{"id": "a", "reply": {}}]}},
        "operations": [{"name": "o", "method": "GET", "path": "/", "workflow": "w", **operation}]})
    # as it comes back from the config topic
    made = Project.model_validate(made.to_document())
    return made.trace_rule(made.operations[0])


def test_the_operation_goes_before_its_project_and_the_project_before_the_settings() -> None:
    assert rule({}) == NO_RULE
    assert rule({"ratio": 0.5, "slow": "2s", "debug": ["dev"]}) == TraceRule(0.5, 2_000_000, frozenset({"dev"}))
    assert rule({"ratio": 0.5, "slow": "2s"}, tracing={"ratio": 0, "slow": "100ms"}) == TraceRule(0, 100_000)


def test_work_that_nobody_waits_for_and_streams_are_slow_only_when_the_operation_says_so() -> None:
    for mode in ("validate", "fire_and_forget", "events"):
        assert rule({"slow": "1s"}, mode=mode).slow_us == NEVER_US
        assert rule({"slow": "1s"}, mode=mode, tracing={"slow": "1m"}).slow_us == 60_000_000


def test_slow_is_what_takes_longer_than_the_rule_or_the_settings_say() -> None:
    assert rule({"slow": "1s"}).is_slow(1_000_001, 5)
    assert not rule({"slow": "1s"}).is_slow(1_000_000, 5)
    assert rule({}).is_slow(6, 5)
    assert not rule({}).is_slow(5, 5)


def test_ratio_that_is_no_share_is_a_problem_with_its_place() -> None:
    loaded = load_project({"weir.yaml": "name: p\ntracing:\n  ratio: 1.5\n"})
    assert [(problem.file, problem.line) for problem in loaded.problems] == [("weir.yaml", 3)]
