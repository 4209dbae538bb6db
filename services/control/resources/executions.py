"""Executions whose result is kept, and workflows that are stopped.

In:    a project, an execution or a workflow.
Out:   how executions stand; one cancelled or resumed; a workflow stopped or started.
Never: an execution that runs here: executors hear of it within a second.
"""

from typing import cast, get_args

import msgspec
from pydantic import Field, ValidationError

from services.control.api import Body, Call, Result, Route, limit, one_of, up_to
from services.control.faults import Conflict, NotFound
from services.control.resources.projects import known_project
from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Halt
from shared.contracts.execution_result import ExecutionResult, State
from shared.errors import InputInvalid
from shared.names.headers import HTTP_LOOKED_AT
from shared.project.calls import called_first, calls_in
from shared.project.model import Project
from shared.store.cancels import cancel
from shared.store.results import get, newest, put
from shared.store.waiting import failed, keep_failed, park, take_failed, wake

_MOST, _USUAL = 1_000, 100
# how long a resumed execution may take at the least
_RESUMED_MS = 300_000


class Reason(Body):
    """Why a workflow is stopped; its callers read it."""

    reason: str = Field(default="", max_length=500)


async def list_executions(call: Call) -> Result:
    """Executions of a project, newest first; a header says so where older ones that fit were not looked at."""
    most, wanted = limit(call, _USUAL, _MOST), call.query.get("status")
    if wanted is not None and wanted not in get_args(State):
        raise InputInvalid(f"`status` is one of {', '.join(get_args(State))}, not {wanted[:20]!r}")
    found = await newest(call.desk.store, known_project(call), most, cast("State | None", wanted))
    return Result([_line(one) for one in found.results],
                  headers={} if found.looked_at is None else {HTTP_LOOKED_AT: str(found.looked_at)})


async def show_execution(call: Call) -> Result:
    """How an execution stands, with its answer."""
    found = await _found(call)
    return Result({**found.to_doc(), "client": found.client})


async def cancel_execution(call: Call) -> Result:
    """End an execution that runs, or waits."""
    found, desk = await _found(call), call.desk
    if found.is_over:
        raise Conflict(f"the execution is over already: its status is {found.state}")
    await cancel(desk.store, found.id, "operator")
    await wake(desk.store, found.id, desk.clock.now_ms())
    desk.registry.audit("cancel execution", call.path["project"], found.id)
    return Result(_line(found), 202)


async def resume_execution(call: Call) -> Result:
    """Go on with a failed durable execution, from its first unfinished step."""
    found, desk, project = await _found(call), call.desk, call.path["project"]
    kept = await failed(desk.store, project, found.id)
    halt = None if kept is None else in_its_way(
        desk.registry.catalogue, kept.project, kept.version, kept.operation)
    if halt is not None:
        raise Conflict(f"the execution would end at once, and for good: workflow {halt.workflow!r}, which it runs, is "
                       f"stopped{f' ({halt.reason})' if halt.reason else ''}. Resume it after "
                       f"`weir workflow start {project} {halt.workflow}`")
    record = await take_failed(desk.store, project, found.id)
    if record is None:
        raise Conflict(f"the execution cannot be resumed: its status is {found.state}; failed executions of "
                       "durable workflows can, as long as their results are kept")
    # after its end, whoever's clock told that
    now_ms = max(desk.clock.now_ms(), (found.ended or 0) + 1)
    took_ms = record.deadline_ms - (record.resumed_ms or found.accepted)
    # its caller has its answer
    again = msgspec.structs.replace(record, reply_to=None, claim={}, deadline_ms=now_ms + max(took_ms, _RESUMED_MS),
                                    accepted_ms=found.accepted, resumed_ms=now_ms)
    accepted = msgspec.structs.replace(found, state="accepted", resumed=now_ms, ended=None, status=None, body=b"",
                                       headers={})
    try:
        await put(desk.store, project, accepted, record.keep_ms)
        await park(desk.store, again, now_ms)
    except Exception:
        await keep_failed(desk.store, record, record.keep_ms)
        raise
    desk.registry.audit("resume execution", project, found.id)
    return Result(_line(accepted), 202)


async def list_halts(call: Call) -> Result:
    """Workflows of a project that are stopped."""
    project = known_project(call)
    return Result([_shown(halt) for halt in call.desk.registry.catalogue.halts.values() if halt.project == project])


async def stop_workflow(call: Call) -> Result:
    """Stop a workflow: its runs end, and none begins."""
    return await _set(call, halted=True, reason=call.body.reason)


async def start_workflow(call: Call) -> Result:
    """Let a stopped workflow run again."""
    return await _set(call, halted=False, reason="")


async def _set(call: Call, *, halted: bool, reason: str) -> Result:
    desk, (project, workflow) = call.desk, (call.path["project"], call.path["workflow"])
    catalogue = desk.registry.catalogue
    # durable executions go on with the version with which they began: a workflow that a later one dropped still runs
    known = (project, workflow) in catalogue.halts or any(
        workflow in version.workflow_names for version in catalogue.history(project))
    if not known:
        raise NotFound(f"project {project!r} has no workflow {workflow!r}, in none of its versions")
    made = Halt(project=project, workflow=workflow, halted=halted, reason=reason, time=desk.clock.now_ms())
    async with desk.registry.changing() as write:
        await write(made, "stop workflow" if halted else "start workflow")
    return Result(_shown(made))


async def _found(call: Call) -> ExecutionResult:
    found = await get(call.desk.store, call.path["project"], call.path["execution"])
    if found is None:
        raise NotFound(f"project {call.path['project']!r} has no execution {call.path['execution']!r} whose result is "
                       "kept; `weir executions list` shows them")
    return found


def in_its_way(catalogue: Catalogue, project: str, number: int, operation: str) -> Halt | None:
    """What stops the workflow of a version's operation, or one that it calls by whatever way."""
    version = catalogue.version(project, number)
    if version is None or not any(halt.project == project for halt in catalogue.halts.values()):
        return None
    try:
        read = Project.model_validate(version.document)
    except ValidationError:
        # without its connector no executor runs it either: each says so
        return None
    runs = called_first(
        [one.workflow for one in read.operations if one.name == operation],
        lambda name: [called for _, called in calls_in(read.workflows[name].steps)])
    halts = [catalogue.halts.get((project, workflow)) for workflow in reversed(runs)]
    return next((halt for halt in halts if halt is not None), None)


def _line(one: ExecutionResult) -> dict[str, object]:
    return {"execution": one.id, "operation": one.operation, "client": one.client, "status": one.state,
            "accepted": one.accepted, "ended": one.ended, "tasks": one.tasks, "steps": list(one.steps)}


def _shown(halt: Halt) -> dict[str, object]:
    return {"project": halt.project, "workflow": halt.workflow, "stopped": halt.halted, "reason": halt.reason,
            "time": halt.time}


_EXECUTION = "/projects/{project}/executions/{execution}"
ROUTES = (
    Route(method="GET", path="/projects/{project}/executions", summary="List executions, newest first",
          handler=list_executions, query={"status": "Only those that stand so", "limit": "How many at the most (100)"},
          forms={"status": one_of(get_args(State)), "limit": up_to(_MOST)}),
    Route(method="GET", path=_EXECUTION, summary="How an execution stands", handler=show_execution),
    Route(method="POST", path=f"{_EXECUTION}/cancel", summary="End an execution", handler=cancel_execution, status=202),
    Route(method="POST", path=f"{_EXECUTION}/resume", summary="Go on with a failed durable execution",
          handler=resume_execution, status=202),
    Route(method="GET", path="/projects/{project}/stopped-workflows", summary="Workflows that are stopped",
          handler=list_halts),
    Route(method="POST", path="/projects/{project}/workflows/{workflow}/stop", summary="Stop a workflow and its runs",
          handler=stop_workflow, body=Reason),
    Route(method="POST", path="/projects/{project}/workflows/{workflow}/start", summary="Let a workflow run again",
          handler=start_workflow),
)
