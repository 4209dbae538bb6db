"""Executions that wait, are cancelled, resumed; workflows that are stopped."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.support.outside import serving
from tests.support.platform import PARK_AFTER_MS, PROJECT_BOUND, Platform, eventually

OPERATIONS = """operations:
  - { name: far, method: POST, path: /far, workflow: far, mode: validate, public: true, run_timeout: 2d }
  - { name: short, method: POST, path: /short, workflow: short, mode: validate, public: true }
  - { name: live, method: POST, path: /live, workflow: live, mode: validate, public: true }
  - { name: ask, method: POST, path: /ask, workflow: live, public: true }
  - { name: through, method: POST, path: /through, workflow: through, public: true }
"""
FAR = """durable: true
steps:
  - { id: first, http: { method: POST, url: "%(base)s/first" } }
  - id: both
    parallel:
      branches:
        wait:
          - { id: pause, delay: { for: "{wait}" } }
          - { id: after, http: { method: POST, url: "%(base)s/after" } }
        work:
          - { id: beside, http: { method: POST, url: "%(base)s/beside" } }
  - { id: last, http: { method: POST, url: "%(base)s/last" } }
  - { id: answer, reply: { body: done } }
"""
LIVE = """steps:
  - { id: pause, delay: { for: 20s } }
  - { id: answer, reply: { body: done } }
"""
SHORT = """steps:
  - { id: pause, delay: { for: 3s } }
  - { id: answer, reply: { body: done } }
"""
THROUGH = """steps:
  - { id: sub, call: { workflow: live } }
  - { id: answer, reply: { body: done } }
"""


@dataclass
class Project:
    """A project, what its outside system was asked, and which paths of it fail."""

    platform: Platform
    http: ClientSession
    name: str
    asked: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    async def start(self, path: str) -> str:
        async with self.http.post(f"{self.platform.ingress}/{self.name}{path}") as answer:
            assert answer.status == 202
            return str((await answer.json())["execution"])

    async def call(self, path: str) -> tuple[int, Any]:
        async with self.http.post(f"{self.platform.ingress}/{self.name}{path}") as answer:
            return answer.status, await answer.json(content_type=None)

    async def weir(self, *arguments: str) -> str:
        return (await asyncio.to_thread(self.platform.weir, *arguments)).stdout

    async def shown(self, execution: str) -> Any:
        return await asyncio.to_thread(self.platform.admin, "GET", f"/projects/{self.name}/executions/{execution}")

    async def state(self, execution: str) -> str:
        return str((await self.shown(execution))["status"])

    async def until(self, execution: str, state: str, within_s: float = 5) -> None:
        async def stands() -> bool:
            return await self.state(execution) == state
        await eventually(stands, within_s=within_s)


@pytest.fixture
async def make(platform: Platform, http: ClientSession) -> AsyncIterator[Any]:
    projects: list[Project] = []

    async def outside(request: web.Request) -> web.Response:
        project = projects[-1]
        project.asked.append(request.path)
        return web.json_response(1, status=500 if request.path in project.broken else 200)
    async with serving(outside) as base:
        async def made(wait: str = "3s") -> Project:
            name = f"runs-{os.urandom(4).hex()}"
            await asyncio.to_thread(platform.admin, "POST", f"/projects/{name}/versions", {"files": {
                "weir.yaml": f"name: {name}\n", "operations.yaml": OPERATIONS, "workflows/live.yaml": LIVE,
                "workflows/short.yaml": SHORT,
                "workflows/through.yaml": THROUGH,
                "workflows/far.yaml": FAR.replace("{wait}", wait) % {"base": base}}})
            await platform.configured(http)
            projects.append(Project(platform, http, name))
            return projects[-1]
        yield made


async def test_long_delay_of_a_durable_execution_holds_no_worker(make: Any) -> None:
    project = await make()
    # what others have begun may still run
    began, before = time.monotonic(), await running(project)
    execution = await project.start("/far")
    await project.until(execution, "waiting")
    # what stood beside the delay went on, what stands after it did not
    assert project.asked == ["/first", "/beside"]
    await eventually(lambda: nobody_works(project, before), within_s=2)
    listed = json.loads(await project.weir("executions", "list", project.name, "--json"))
    assert [(one["execution"], one["status"], one["operation"]) for one in listed] == [(execution, "waiting", "far")]
    shown = json.loads(await project.weir("executions", "show", project.name, execution))
    assert 0 < shown["until"] - shown["accepted"] < 8_000
    await project.until(execution, "succeeded", within_s=8)
    assert project.asked == ["/first", "/beside", "/after", "/last"]
    assert time.monotonic() - began >= 3 > PARK_AFTER_MS / 1000
    shown = json.loads(await project.weir("executions", "show", project.name, execution))
    # trigger, first, both, pause, after, beside, last, answer
    assert (shown["tasks"], shown["result"]["body"]) == (8, "done")


async def test_cancelled_and_stopped_executions_that_wait_end_and_what_they_ran_is_counted(make: Any) -> None:
    project = await make("1d")
    cancelled, stopped = await project.start("/far"), await project.start("/far")
    for execution in (cancelled, stopped):
        await project.until(execution, "waiting")
    await project.weir("executions", "cancel", project.name, cancelled)
    await project.until(cancelled, "cancelled")
    assert await project.state(stopped) == "waiting"
    await project.weir("workflow", "stop", project.name, "far")
    await project.until(stopped, "cancelled")
    await project.weir("workflow", "start", project.name, "far")
    for execution in (cancelled, stopped):
        shown = await project.shown(execution)
        assert (sorted(shown["steps"]), shown["tasks"]) == (["beside", "first"], 5)

    async def both() -> bool:
        # trigger, first, both, pause, beside: each of the two
        return await counted(project) == [("far", 503, 2, 10)]
    await eventually(both)


async def test_accepted_executions_beyond_the_bound_of_a_project_wait_for_their_turn(make: Any) -> None:
    project = await make("10ms")
    begun: list[str] = []
    while len(begun) < PROJECT_BOUND + 30:
        begun += await asyncio.gather(*(project.start("/short") for _ in range(26)))

    async def over() -> bool:
        listed = json.loads(await project.weir("executions", "list", project.name, "--json", "--limit", "1000"))
        return sorted(one["execution"] for one in listed if one["status"] == "succeeded") == sorted(begun)
    await eventually(over, within_s=20, every_s=0.5)


async def nobody_works(project: Project, but: float = 0) -> bool:
    return await running(project) <= but


async def running(project: Project) -> int:
    """Records of executions that are not finished, over all executors."""
    found = 0.0
    for process in project.platform.processes().values():
        if process.name.startswith("executor"):
            async with project.http.get(process.ready_url.replace("ready", "metrics")) as answer:
                lines = [line for line in (await answer.text()).splitlines() if line.startswith("weir_records_open ")]
                assert lines
                found += sum(float(line.rpartition(" ")[2]) for line in lines)
    return int(found)


async def test_cancelled_execution_ends_wherever_it_is(make: Any) -> None:
    project = await make("1d")
    far, live = await project.start("/far"), await project.start("/live")
    await project.until(far, "waiting")
    await project.until(live, "running")
    for execution in (far, live):
        assert "within a second" in await project.weir("executions", "cancel", project.name, execution)
    for execution in (far, live):
        await project.until(execution, "cancelled", within_s=4)
    refused = await asyncio.to_thread(
        project.platform.weir, "executions", "cancel", project.name, live, check=False)
    assert (refused.returncode, "cancelled" in refused.stderr) == (1, True)
    assert "/last" not in project.asked
    unknown = await asyncio.to_thread(
        project.platform.weir, "executions", "show", project.name, "nothing", check=False)
    assert (unknown.returncode, "executions list" in unknown.stderr) == (1, True)


async def test_failed_durable_execution_is_resumed_at_its_first_unfinished_step(make: Any) -> None:
    project = await make("10ms")
    project.broken.add("/last")
    execution = await project.start("/far")
    await project.until(execution, "failed")
    project.broken.clear()
    await project.weir("executions", "resume", project.name, execution)
    await project.until(execution, "succeeded", within_s=8)
    assert sorted(project.asked) == sorted(["/first", "/beside", "/after", "/last", "/last"])
    again = await asyncio.to_thread(
        project.platform.weir, "executions", "resume", project.name, execution, check=False)
    assert (again.returncode, "its status is succeeded" in again.stderr) == (1, True)
    # trigger, first, both, pause, after, beside, last: as it was when it failed
    assert await counted(project) == [("far", 502, 1, 7)]


async def counted(project: Project) -> list[tuple[str, int, int, int]]:
    """Usage of the project: operation, status, requests, tasks."""
    usage = await asyncio.to_thread(
        project.platform.admin, "GET", f"/projects/{project.name}/usage?by=operation,status")
    return [(row["operation"], row["status"], row["requests"], row["tasks"]) for row in usage["rows"]]


async def test_stopped_workflow_ends_its_runs_and_begins_none(make: Any) -> None:
    project = await make()
    execution, waiting = await project.start("/live"), asyncio.create_task(project.call("/through"))
    await project.until(execution, "running")
    began = time.monotonic()
    await project.weir("workflow", "stop", project.name, "live", "--reason", "stock is wrong")
    status, body = await waiting
    assert (status, body["code"]) == (503, "cancelled")
    await project.until(execution, "cancelled", within_s=4)
    assert time.monotonic() - began < 6
    for path in ("/ask", "/through"):
        status, body = await project.call(path)
        assert (status, body["code"]) == (503, "workflow-stopped")
        assert "stock is wrong" in body["detail"]
    assert "live" in await project.weir("workflow", "stopped", project.name)
    await project.weir("workflow", "start", project.name, "live")
    await project.platform.configured(project.http)
    assert (await project.start("/live"))
