"""The listing of executions, as control answers it and the command line tells it."""

from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from services.console.cli import admin, executions
from services.control.api import Call, Handler, Result
from services.control.faults import Conflict, NotFound
from services.control.resources.clients import list_clients, list_tokens
from services.control.resources.credentials import list_credentials
from services.control.resources.executions import (
    Reason,
    cancel_execution,
    list_executions,
    list_halts,
    resume_execution,
    start_workflow,
    stop_workflow,
)
from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Halt, ProjectVersion
from shared.contracts.execution import ExecutionRecord
from shared.contracts.execution_result import ExecutionResult, State
from shared.contracts.origin import Origin
from shared.store import results
from tests.support.fakes import StoppedClock
from tests.unit.services.control.desk import Desks
from tests.unit.shared.store.test_results import Kept


async def listed(kept: Kept, **query: str) -> Result:
    desks = Desks()
    desks.put(1, {})
    desk: Any = SimpleNamespace(store=kept, registry=desks.registry)
    return await list_executions(Call(desk=desk, path={"project": "p"}, query=query))


async def test_failed_ones_are_found_behind_as_many_others_as_are_shown() -> None:
    found = await listed(Kept([*["succeeded"] * 100, "failed"]), status="failed")  # type: ignore[list-item]
    assert ([one["execution"] for one in found.body], found.headers) == (["e1"], {})


async def test_listing_that_did_not_look_at_all_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_FARTHEST", 200)
    found = await listed(Kept(["succeeded"] * 300), status="failed")
    assert (found.body, found.headers) == ([], {"Weir-Looked-At": "200"})
    monkeypatch.setattr(admin, "answer", lambda *_, **__: (found.body, found.headers))
    app = typer.Typer()
    executions.register(app)
    told = CliRunner().invoke(app, ["executions", "list", "p", "--status", "failed"]).output
    assert "the newest 200 were looked at" in told
    found_json = CliRunner().invoke(app, ["executions", "list", "p", "--status", "failed", "--json"])
    assert (found_json.stdout, "the newest 200 were looked at" in found_json.stderr) == ("[]\n", True)


DAY_MS = 86_400_000


class Failed:
    """Stands for the store: one execution that has failed, and may be resumed; `parked`: those that go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, record: ExecutionRecord) -> None:
        self.record: ExecutionRecord | None = record
        self.parked: list[ExecutionRecord] = []
        self.ended, self.told = 1, list[tuple[str, int, int | None]]()
        for name in ("get", "put", "park", "failed", "take_failed", "keep_failed"):
            monkeypatch.setattr(f"services.control.resources.executions.{name}", getattr(self, name))

    async def get(self, *_: Any) -> ExecutionResult:
        return ExecutionResult(id="e", operation="o", client="c", state="failed", accepted=0, ended=self.ended)

    async def put(self, _: Any, __: str, result: ExecutionResult, ___: int) -> None:
        self.told.append((result.state, result.resumed, result.ended))

    async def park(self, _: Any, execution: ExecutionRecord, __: int) -> None:
        self.parked.append(execution)

    async def failed(self, *_: Any) -> ExecutionRecord | None:
        return self.record

    async def take_failed(self, *_: Any) -> ExecutionRecord | None:
        taken, self.record = self.record, None
        return taken

    async def keep_failed(self, _: Any, execution: ExecutionRecord, __: int) -> None:
        self.record = execution


async def resume(now_ms: int, *halted: str) -> None:
    catalogue = Catalogue()
    catalogue.put(ProjectVersion(project="p", version=1, files={}, time=0, document={
        "name": "p", "operations": [{"name": "o", "method": "POST", "path": "/o", "workflow": "w"}],
        "workflows": {name: {"name": name, "durable": True, "steps": steps} for name, steps in {
            "w": [{"id": "other", "call": {"workflow": "part"}}], "part": NOTHING, "else": NOTHING}.items()}}))
    for name in halted:
        catalogue.put(Halt(project="p", workflow=name, halted=True, reason="stock is wrong", time=0))
    call: Any = SimpleNamespace(path={"project": "p", "execution": "e"}, desk=SimpleNamespace(
        store=None, clock=StoppedClock(now_ms),
        registry=SimpleNamespace(catalogue=catalogue, audit=lambda *_: None)))
    await resume_execution(call)


NOTHING = [{"id": "x", "transform": {"value": 1}}]
FAILED = ExecutionRecord(request_id="e", project="p", version=1, operation="o", client="c", source="edge",
                         origin=Origin("t", 0, 0), deadline_ms=DAY_MS, keep_ms=DAY_MS)


async def test_resumed_execution_has_as_long_as_it_had_however_often_it_is_resumed(
        monkeypatch: pytest.MonkeyPatch) -> None:
    store = Failed(monkeypatch, FAILED)
    for resumed_ms in (2 * DAY_MS, 3 * DAY_MS):
        await resume(resumed_ms)
        again = store.parked[-1]
        assert (again.deadline_ms, again.accepted_ms) == (resumed_ms + DAY_MS, 0)
        store.record = again


async def test_execution_is_resumed_after_its_end_whoever_s_clock_told_that(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Failed(monkeypatch, FAILED)
    store.ended = 2 * DAY_MS
    await resume(2 * DAY_MS - 5)
    # the store keeps no state of one that is over but was resumed later
    assert store.told == [("accepted", store.parked[-1].resumed_ms, None)] == [("accepted", 2 * DAY_MS + 1, None)]


@pytest.mark.parametrize("stopped", ["w", "part"], ids=["its own", "one that it calls"])
async def test_execution_whose_workflow_is_stopped_is_not_resumed_and_stays_to_be(
        monkeypatch: pytest.MonkeyPatch, stopped: str) -> None:
    store = Failed(monkeypatch, FAILED)
    with pytest.raises(Conflict, match=rf"stock is wrong.* `weir workflow start p {stopped}`"):
        await resume(DAY_MS, stopped)
    assert (store.record, store.parked) == (FAILED, [])
    await resume(DAY_MS, "else")
    assert len(store.parked) == 1


async def test_workflow_that_the_version_in_force_dropped_is_stopped_and_started() -> None:
    desks = Desks()
    desks.put(1, {"workflows/old.yaml": "steps:\n  - {id: a, reply: {body: 1}}\n"})
    desks.put(2, {})
    await stop_workflow(desks.call(Reason(reason="x"), workflow="old"))
    assert [halt["workflow"] for halt in (await list_halts(desks.call())).body] == ["old"]
    await start_workflow(desks.call(workflow="old"))
    assert (await list_halts(desks.call())).body == []
    with pytest.raises(NotFound, match="'no', in none of its versions"):
        await stop_workflow(desks.call(Reason(), workflow="no"))


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
async def test_execution_that_is_over_is_not_cancelled(monkeypatch: pytest.MonkeyPatch, state: State) -> None:
    async def get(*_: Any) -> ExecutionResult:
        return ExecutionResult(id="e", operation="o", client="c", state=state, accepted=0)

    monkeypatch.setattr("services.control.resources.executions.get", get)
    desks = Desks()
    desks.put(1, {})
    desk: Any = SimpleNamespace(store=None, registry=desks.registry)
    with pytest.raises(Conflict, match=f"over already: its status is {state}"):
        await cancel_execution(Call(desk=desk, path={"project": "p", "execution": "e"}, query={}))


@pytest.mark.parametrize("listing", [list_executions, list_halts, list_credentials, list_clients, list_tokens])
async def test_listing_of_a_project_that_is_none_says_so(listing: Handler) -> None:
    with pytest.raises(NotFound, match="there is no project 'p'"):
        await listing(Desks().call())
