"""The listing of executions, as control answers it and the command line tells it."""

from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from services.console.cli import admin, executions
from services.control.api import Result
from services.control.resources.executions import list_executions
from shared.store import results
from tests.unit.shared.store.test_results import Kept


async def listed(kept: Kept, **query: str) -> Result:
    call: Any = SimpleNamespace(query=query, path={"project": "p"}, desk=SimpleNamespace(store=kept))
    return await list_executions(call)


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
