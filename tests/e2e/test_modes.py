"""Calls that are answered before they have run, and what became of them."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession

from shared.names import topics
from tests.support.platform import Platform, eventually
from tests.support.topics import records

OPERATIONS = """operations:
  - { name: later, method: POST, path: /later, workflow: slow, mode: validate, input: { body: { type: object } } }
  - { name: forget, method: POST, path: /forget, workflow: silent, mode: fire_and_forget }
  - { name: now, method: POST, path: /now, workflow: slow }
  - { name: long, method: POST, path: /long, workflow: slow, timeout: 500ms, run_timeout: 20s }
  - { name: brief, method: POST, path: /brief, workflow: slow, timeout: 500ms }
  - { name: wrong, method: POST, path: /wrong, workflow: wrong, mode: validate }
  - { name: open, method: POST, path: /open, workflow: slow, mode: validate, public: true }
"""
WORKFLOWS = {
    "slow": "steps:\n  - { id: pause, delay: { for: 1200ms } }\n"
            "  - id: answer\n"
            "    reply: { status: 201, headers: { x-made: 'yes' }, body: { got: '{% trigger.body %}' } }\n",
    "silent": "steps:\n  - { id: x, transform: { value: 1 } }\n",
    "wrong": "steps:\n  - { id: broken, fail: { message: no, status: 409 } }\n"}


@dataclass
class Project:
    """A project with two clients."""

    http: ClientSession
    ingress: str
    name: str
    tokens: dict[str, str]

    async def call(self, method: str, path: str, client: str = "one", **more: Any) -> tuple[int, dict[str, str], Any]:
        headers = {**({"Authorization": f"Bearer {self.tokens[client]}"} if client else {}), **more.pop("headers", {})}
        async with self.http.request(method, self.ingress + path, headers=headers, **more) as answer:
            return answer.status, dict(answer.headers), await answer.json(content_type=None)

    async def start(self, path: str, client: str = "one", **more: Any) -> str:
        """Start an execution that is answered at once; its link."""
        status, headers, body = await self.call("POST", f"/{self.name}{path}", client, **{"json": {"n": 1}, **more})
        assert (status, body["status"]) == (202, "accepted")
        assert headers["Location"] == body["result"] == f"/{self.name}/-/executions/{body['execution']}"
        return str(body["result"])

    async def over(self, link: str, client: str = "one") -> Any:
        """How the execution ended."""
        found: list[Any] = []

        async def ended() -> bool:
            status, headers, body = await self.call("GET", link, client)
            assert status == 200
            assert ("Retry-After" in headers) == (body["status"] in ("accepted", "running"))
            found[:] = [body]
            return body["status"] in ("succeeded", "failed")
        await eventually(ended, within_s=10)
        return found[0]


@pytest.fixture
async def project(platform: Platform, http: ClientSession) -> AsyncIterator[Project]:
    name = f"modes-{os.urandom(4).hex()}"
    platform.admin("POST", f"/projects/{name}/versions", {"files": {
        "weir.yaml": f"name: {name}\n", "operations.yaml": OPERATIONS,
        "access.yaml": "clients: [{name: one}, {name: two}]\n",
        **{f"workflows/{workflow}.yaml": text for workflow, text in WORKFLOWS.items()}}})
    tokens = {client: platform.admin("POST", f"/projects/{name}/clients/{client}/tokens", {})["token"]
              for client in ("one", "two")}
    await platform.configured(http)
    return Project(http, platform.ingress, name, tokens)


async def test_call_that_runs_later_tells_its_client_alone_what_became_of_it(project: Project) -> None:
    link = await project.start("/later")
    status, _, body = await project.call("GET", link)
    assert (status, body["status"]) in {(200, "accepted"), (200, "running")}
    assert (await project.call("GET", link, "two"))[0] == 404
    assert (await project.call("GET", link, ""))[0] == 404
    ended = await project.over(link)
    assert ended["result"] == {"status": 201, "headers": {"x-made": "yes"}, "body": {"got": {"n": 1}}}
    assert (ended["status"], ended["steps"], ended["tasks"], ended["operation"]) == ("succeeded", ["pause"], 3, "later")
    assert ended["ended"] >= ended["accepted"] + 1200
    assert (await project.call("GET", f"{link}0"))[0] == 404


async def test_wrong_input_is_refused_at_once_and_nothing_runs(project: Project) -> None:
    status, headers, body = await project.call("POST", f"/{project.name}/later", json=[1])
    assert (status, body["code"]) == (400, "input-invalid")
    assert "Location" not in headers


async def test_failed_execution_tells_why_and_its_usage_event_names_the_step(
        platform: Platform, project: Project) -> None:
    link = await project.start("/wrong")
    ended = await project.over(link)
    assert (ended["status"], ended["result"]["status"]) == ("failed", 409)
    assert ended["result"]["body"]["step"] == "broken"

    async def told() -> bool:
        events = [event for text in await records(platform, topics.USAGE) if text.startswith(b"\n[")
                  for event in json.loads(text.split(b"\n")[1]) if event["id"] == link.rpartition("/")[2]]
        return [(event["status"], event["reason"], event.get("step"), event["tasks"]) for event in events] == [
            (409, "workflow-failed", "broken", 2)]
    await eventually(told, within_s=5)


async def test_forgotten_call_has_no_link_and_is_counted(platform: Platform, project: Project) -> None:
    status, headers, body = await project.call("POST", f"/{project.name}/forget", json={})
    assert (status, body["status"], "result" in body, "Location" in headers) == (202, "accepted", False, False)

    def counted() -> bool:
        rows = platform.admin("GET", f"/projects/{project.name}/usage?by=operation,status")["rows"]
        return [(row["operation"], row["status"], row["requests"], row["tasks"]) for row in rows] == [
            ("forget", 204, 1, 2)]
    await eventually(lambda: asyncio.to_thread(counted), within_s=10)


async def test_caller_may_prefer_not_to_wait(project: Project) -> None:
    status, headers, body = await project.call("POST", f"/{project.name}/now", json={"n": 2},
                                               headers={"Prefer": "respond-async"})
    assert (status, headers["Preference-Applied"]) == (202, "respond-async")
    assert (await project.over(body["result"]))["result"]["body"] == {"got": {"n": 2}}


@pytest.mark.parametrize(("path", "prefer"), [("/now", {"Prefer": "wait=1"}), ("/long", {}), ("/brief", {})],
                         ids=["prefer", "run_timeout", "nothing said"])
async def test_wait_that_ends_leaves_a_link_and_the_work_goes_on(
        project: Project, path: str, prefer: dict[str, str]) -> None:
    status, headers, body = await project.call("POST", f"/{project.name}{path}", json={"n": 3}, headers=prefer)
    assert (status, body["code"], headers["Location"]) == (504, "timeout", body["result"])
    assert (await project.call("GET", body["result"], "two"))[0] == 404
    assert (await project.over(body["result"]))["result"]["body"] == {"got": {"n": 3}}


async def test_answer_that_came_in_time_is_not_kept(project: Project) -> None:
    status, headers, _ = await project.call("POST", f"/{project.name}/now", json={})
    assert status == 201
    execution = {name.lower(): value for name, value in headers.items()}["x-request-id"]
    assert (await project.call("GET", f"/{project.name}/-/executions/{execution}"))[0] == 404


async def test_execution_is_found_by_its_id_alone(project: Project) -> None:
    execution = (await project.start("/later")).rpartition("/")[2]
    status, _, body = await project.call("GET", f"/-/executions/{execution}")
    assert (status, body["execution"]) == (200, execution)
    for client, wanted in (("two", execution), ("", execution), ("one", execution[:-1]), ("one", "../x")):
        status, _, body = await project.call("GET", f"/-/executions/{wanted}", client)
        assert status == 404


async def test_execution_of_a_public_operation_is_read_by_whoever_knows_its_id(project: Project) -> None:
    link = await project.start("/open", client="")
    assert (await project.over(link, client=""))["status"] == "succeeded"


async def test_same_idempotency_key_gives_the_same_link(project: Project) -> None:
    key = {"headers": {"Idempotency-Key": os.urandom(8).hex()}}
    first = await project.start("/later", **key)
    await asyncio.sleep(0.3)
    assert await project.start("/later", **key) == first
