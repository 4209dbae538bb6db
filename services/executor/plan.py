"""Workflows, compiled to be walked.

In:    a project version.
Out:   `Plan` per operation: steps with compiled expressions, reply schemas.
Never: I/O, a clock.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.executor.planned import PlannedStep
from services.executor.steps.base import Callee
from services.executor.steps.registry import STEPS
from services.executor.walk import Steps
from shared.project.calls import reply_statuses
from shared.project.expressions import compile_condition, compile_value
from shared.project.inputs import ReplyValidator, ValueValidator
from shared.project.model import Operation, Project, Workflow
from shared.project.steps.base import Step
from shared.project.tracing import NO_RULE, TraceRule


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs for one operation of one project version.

    `waits`: some step of it may wait for something; `at_once`: it begins and ends without a turn for anybody else.
    """

    operation: Operation
    steps: Steps
    max_tasks: int
    durable: bool
    waits: bool
    config: Mapping[str, Any]
    replies: ReplyValidator
    tracing: TraceRule = NO_RULE
    at_once: bool = False


def compile_plans(project: Project, config: Mapping[str, Any]) -> dict[str, Plan]:
    """All plans of a project version by operation name; `config` are its resolved config values."""
    workflows = _Workflows(project)
    return {operation.name: _plan(project, operation, workflows, config) for operation in project.operations}


def _plan(project: Project, operation: Operation, workflows: "_Workflows", config: Mapping[str, Any]) -> Plan:
    workflow, steps = project.workflows[operation.workflow], workflows.steps(operation.workflow)
    return Plan(
        operation, steps, workflow.max_tasks, workflow.durable, workflows.waits(workflow.name), config,
        ReplyValidator(operation), project.trace_rule(operation),
        at_once=steps.at_once and not workflow.durable and operation.mode != "events")


class _Workflows:
    """All workflows of a project, each compiled once, whoever uses it."""

    def __init__(self, project: Project) -> None:
        statuses = reply_statuses(project.operations)
        self._callees = {name: self._callee(workflow, statuses(name)) for name, workflow in project.workflows.items()}
        compilers = {name: _Compiler(self, name) for name in project.workflows}
        self._steps = {name: compilers[name].block(workflow.steps) for name, workflow in project.workflows.items()}
        self._waiting = frozenset(name for name, compiler in compilers.items() if compiler.waits)

    def steps(self, workflow: str) -> Steps:
        return self._steps[workflow]

    def waits(self, workflow: str) -> bool:
        """Whether time may pass in it without a step that looks at the clock."""
        return workflow in self._waiting

    def callee(self, name: str) -> Callable[[], Callee]:
        """Another workflow; it may not be compiled yet when this one is."""
        make = self._callees[name]
        return lambda: make(self._steps[name])

    @staticmethod
    def _callee(workflow: Workflow, statuses: Mapping[str, int]) -> Callable[[Steps], Callee]:
        taken, given = ValueValidator(workflow.input), ValueValidator(workflow.output)
        return lambda steps: Callee(workflow.name, steps, taken.misfits, given.misfits, statuses)


class _Compiler:
    """Compiles the steps of one workflow."""

    def __init__(self, workflows: _Workflows, workflow: str) -> None:
        self.workflow, self.callee = workflow, workflows.callee
        self.waits = False

    def block(self, steps: Sequence[Step]) -> Steps:
        """Compile steps."""
        return Steps([self._planned(step) for step in steps])

    def _planned(self, step: Step) -> PlannedStep:
        work = STEPS[step.kind](step.settings, self)
        self.waits |= getattr(work, "waits", True) or step.retry is not None or step.timeout_ms is not None
        catch = self.block(step.catch) if step.catch else None
        at_once = (getattr(work, "at_once", False) and step.retry is None and step.timeout_ms is None
                   and (catch is None or catch.at_once))
        return PlannedStep(
            id=step.id, kind=step.kind, work=work, mask=step.mask, timeout_ms=step.timeout_ms,
            effect=getattr(work, "effect", False),
            holds=getattr(work, "holds", False),
            condition=compile_condition(step.if_) if step.if_ is not None else None, retry=step.retry,
            handles=step.handles, fallback=compile_value(step.fallback) if step.fallback is not None else None,
            catch=catch, now=getattr(work, "now", None) if at_once else None)
