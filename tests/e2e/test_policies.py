"""Policies of a project in force, seen by callers of the running cluster."""

import json
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.platform import PROJECT, Platform, eventually

EMPLOYEE = {"name": "Rosa Luxe", "email": "rosa@example.com", "department": "sales"}


def token_of(platform: Platform, client: str) -> str:
    made: str = platform.admin("POST", f"/projects/{PROJECT}/clients/{client}/tokens", {})["token"]
    return made


async def call(http: ClientSession, platform: Platform, method: str, path: str, **more: Any) -> tuple[int, Any]:
    async with http.request(method, f"{platform.ingress}/{PROJECT}{path}", **more) as answer:
        return answer.status, await answer.json()


@pytest.fixture(scope="module")
def reader(platform: Platform) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(platform, 'phone-book')}"}


async def test_client_without_the_role_is_rejected_and_told_by_which_policy(
        platform: Platform, http: ClientSession, reader: dict[str, str]) -> None:
    async def rejected() -> Any:
        found = await call(http, platform, "POST", "/employees", headers=reader, json=EMPLOYEE)
        return found if found[0] == 403 else None
    # the token is in force within a second
    _, problem = await eventually(rejected, within_s=3)
    assert (problem["code"], problem["policy"]) == ("access-rejected", "editors-write")
    assert problem["detail"] == "only editors add employees; ask the HR team for the role"
    status, _ = await call(http, platform, "GET", "/employees/e-100", headers=reader)
    assert status == 200


async def test_header_that_a_policy_forbids_rejects_the_call(platform: Platform, http: ClientSession) -> None:
    headers = {"Authorization": f"Bearer {platform.demo_token}", "User-Agent": "MyCrawler/1.0"}
    status, problem = await call(http, platform, "GET", "/employees/e-100", headers=headers)
    assert (status, problem["policy"]) == (403, "no-crawlers")


async def test_address_is_believed_from_the_connection_and_not_from_a_header(
        platform: Platform, http: ClientSession) -> None:
    headers = {"Authorization": f"Bearer {platform.demo_token}", "X-Forwarded-For": "203.0.113.9"}
    status, problem = await call(http, platform, "GET", "/payroll", headers=headers)
    assert (status, problem["code"]) == (502, "upstream-failed")


async def test_observing_policy_is_told_in_the_usage_event_of_an_admitted_call(
        platform: Platform, http: ClientSession, name: str) -> None:
    operation = {"name": "ask", "method": "GET", "path": "/ask", "workflow": "w"}
    files = {"weir.yaml": f"name: {name}\n", "operations.yaml": json.dumps({"operations": [operation]}),
             "workflows/w.yaml": "steps:\n  - id: answer\n    reply: {body: 1}\n",
             "access.yaml": "clients: [{name: c}]\npolicies:\n  - {name: trial, action: reject, mode: observe}\n"}
    platform.admin("POST", f"/projects/{name}/versions", {"files": files})
    token = platform.admin("POST", f"/projects/{name}/clients/c/tokens", {})["token"]

    async def admitted() -> bool:
        async with http.get(f"{platform.ingress}/{name}/ask", headers={"Authorization": f"Bearer {token}"}) as answer:
            return answer.status == 200
    await eventually(admitted, within_s=3)

    async def counted() -> bool:
        for process in platform.processes().values():
            if process.name.startswith("policy"):
                async with http.get(process.ready_url.replace("ready", "metrics")) as answer:
                    return f'outcome="trial:reject",project="{name}"' in await answer.text()
        return False
    await eventually(counted)
