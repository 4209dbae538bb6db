"""A version in force that this release cannot read: what still works, and what is said."""

import pytest

from services.control.faults import Conflict
from services.control.resources.executions import Reason, list_halts, stop_workflow
from services.control.resources.projects import document, show
from shared.contracts.config import ProjectVersion
from tests.unit.services.control.desk import Desks


async def test_version_that_cannot_be_read_is_told_and_its_workflows_can_be_stopped() -> None:
    desks = Desks()
    desks.registry.take([ProjectVersion(project="p", version=7, files={}, time=0, document={
        "name": "p", "workflows": {"w": {"name": "w", "steps": [{"id": "a", "gone_connector": {}}]}}})])
    with pytest.raises(Conflict, match="version 7 of 'p' cannot be read by this release"):
        await document(desks.call())
    assert (await show(desks.call())).body["version"] == 7
    await stop_workflow(desks.call(Reason(), workflow="w"))
    assert [halt["workflow"] for halt in (await list_halts(desks.call())).body] == ["w"]
