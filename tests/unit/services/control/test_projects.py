"""A version in force that this release cannot read: what still works, and what is said."""

import asyncio

import pytest

from services.control.faults import Conflict, NotFound
from services.control.resources.executions import Reason, list_halts, stop_workflow
from services.control.resources.projects import Apply, apply, document, show, version, versions
from shared.contracts.config import ProjectVersion
from shared.names.topics import DAY_MS
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


async def test_project_that_is_applied_again_and_again_keeps_the_newest_versions() -> None:
    desks = Desks()
    files = {"weir.yaml": "name: p\n", "operations.yaml": "operations: []\n"}
    for number in range(5):
        await apply(desks.call(Apply(files={**files, "weir.yaml": f"name: p\ntitle: v{number}\n"})))
        assert len((await versions(desks.call())).body) == number + 1
    desks.clock.now += 62 * DAY_MS
    assert (await apply(desks.call(Apply(files=files)))).body["version"] == 6
    await asyncio.sleep(0)
    assert [one["version"] for one in (await versions(desks.call())).body] == [5, 6]
    assert (await version(desks.call(version="5"))).body["files"]["weir.yaml"] == "name: p\ntitle: v4\n"
    with pytest.raises(NotFound, match="has no version 4"):
        await version(desks.call(version="4"))
