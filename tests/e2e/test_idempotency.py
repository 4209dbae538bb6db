"""The same key and the same question give the first answer again, and nothing runs twice."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.e2e.test_policies import opened
from tests.support.platform import PROJECT, Platform

EMPLOYEE = {"name": "Rosa Luxe", "email": "rosa@example.com", "department": "sales"}


@pytest.fixture
def demo(platform: Platform, name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {platform.demo_token}", "Idempotency-Key": name}


async def make(http: ClientSession, platform: Platform, headers: dict[str, str], **employee: Any) -> Any:
    async with http.post(f"{platform.ingress}/{PROJECT}/employees", headers=headers,
                         json={**EMPLOYEE, **employee}) as answer:
        return answer.status, answer.headers, await answer.json()


async def test_second_call_with_a_key_gets_the_first_answer(
        platform: Platform, http: ClientSession, demo: dict[str, str]) -> None:
    status, headers, body = await make(http, platform, demo)
    again = await make(http, platform, demo)
    assert (status, again[0], again[2]) == (201, 201, body)
    assert (again[1]["Location"], again[1]["Idempotency-Replayed"]) == (headers["Location"], "true")
    assert "Idempotency-Replayed" not in headers
    assert headers["X-Request-Id"] != again[1]["X-Request-Id"]
    other = await make(http, platform, {**demo, "Idempotency-Key": demo["Idempotency-Key"] + "x"})
    assert other[2]["id"] != body["id"]


async def test_other_question_under_a_key_is_a_conflict(
        platform: Platform, http: ClientSession, demo: dict[str, str]) -> None:
    await make(http, platform, demo)
    status, _, problem = await make(http, platform, demo, name="Karl Lieb")
    assert (status, problem["code"]) == (409, "idempotency-mismatch")


async def test_refused_call_leaves_its_key_free(
        platform: Platform, http: ClientSession, demo: dict[str, str]) -> None:
    assert (await make(http, platform, demo, department="none"))[0] == 400
    await asyncio.sleep(0.2)
    assert (await make(http, platform, demo))[0] == 201


async def test_only_one_of_many_at_once_runs(platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, "clients: [{name: c}]\n")

    async def slow(key: str) -> tuple[int, str]:
        async with http.get(f"{platform.ingress}/{name}/slow", headers={**headers, "Idempotency-Key": key}) as answer:
            return answer.status, json.loads(await answer.text())
    found = await asyncio.gather(*(slow("same") for _ in range(6)))
    assert sorted(status for status, _ in found) == [200, 409, 409, 409, 409, 409]
    assert {body["code"] for status, body in found if status == 409} == {"idempotency-running"}  # type: ignore[index]
    assert (await slow("same"))[0] == 200
