"""A workflow, compiled to be walked.

In:    a project version.
Out:   `Plan` per operation: steps with compiled expressions, reply schemas.
Never: I/O, a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.executor.steps.base import CompiledStep
from services.executor.steps.registry import STEPS
from shared.project.access.traffic import Change
from shared.project.expressions import Template, compile_condition
from shared.project.inputs import ReplyValidator
from shared.project.model import Operation, Project, Step


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step: its condition, if any, and what it does."""

    id: str
    kind: str
    condition: Template | None
    work: CompiledStep


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs for one operation of one project version."""

    operation: Operation
    steps: tuple[PlannedStep, ...]
    config: Mapping[str, Any]
    replies: ReplyValidator
    answer: tuple[Change, ...] = ()


def compile_plans(project: Project, config: Mapping[str, Any]) -> dict[str, Plan]:
    """All plans of a project version by operation name; `config` are its resolved config values."""
    return {operation.name: _plan(project, operation, config) for operation in project.operations}


def _plan(project: Project, operation: Operation, config: Mapping[str, Any]) -> Plan:
    steps = project.workflows[operation.workflow].steps
    return Plan(operation, tuple(_planned(step) for step in steps), config, ReplyValidator.of(operation),
                tuple(policy.answer for policy in project.headers
                      if policy.speaks_of(operation.name) and policy.answer != Change()))


def _planned(step: Step) -> PlannedStep:
    condition = compile_condition(step.if_) if step.if_ is not None else None
    return PlannedStep(step.id, step.kind, condition, STEPS[step.kind](step.settings))
