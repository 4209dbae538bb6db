"""What a caller over HTTP gets, for every end that a request can have."""

import asyncio
import json

import pytest
from aiohttp import ClientSession

from tests.support.platform import PROJECT_BOUND, Platform

NEW = {"name": "Rosa Luxe", "email": "rosa@example.com", "department": "sales"}


def bearer(platform: Platform) -> dict[str, str]:
    return {"Authorization": f"Bearer {platform.demo_token}"}


async def test_admitted_call_answers_what_the_workflow_made(platform: Platform, http: ClientSession) -> None:
    async with http.get(f"{platform.ingress}/employee-directory/employees/e-100", headers=bearer(platform)) as answer:
        assert answer.status == 200
        assert await answer.json() == {"id": "e-100", "name": "Ada Byron", "email": "ada@example.com",
                                       "department": "engineering"}
        assert len(answer.headers["X-Request-Id"]) == 36


async def test_query_parameters_reach_the_outside_system_with_their_types(
        platform: Platform, http: ClientSession) -> None:
    url = f"{platform.ingress}/employee-directory/employees?department=engineering&limit=1"
    async with http.get(url, headers=bearer(platform)) as answer:
        body = await answer.json()
    assert (answer.status, body["count"], body["employees"][0]["id"]) == (200, 1, "e-100")


async def test_post_answers_201_with_the_workflows_headers(platform: Platform, http: ClientSession) -> None:
    async with http.post(f"{platform.ingress}/employee-directory/employees", headers=bearer(platform),
                         json=NEW) as answer:
        assert answer.status == 201
        assert answer.headers["Location"].startswith("/employee-directory/employees/e-1")


async def test_public_operation_needs_no_token(platform: Platform, http: ClientSession) -> None:
    async with http.get(f"{platform.ingress}/employee-directory/info") as answer:
        assert answer.status == 200


REFUSALS = [
    ("GET", "/employees/e-100", {"Authorization": "Bearer weir_nonsense"}, None, 401, "credentials-invalid"),
    ("GET", "/employees/e-100", {}, None, 401, "credentials-missing"),
    ("GET", "/nowhere", None, None, 404, "operation-not-found"),
    ("DELETE", "/employees", None, None, 405, "method-not-allowed"),
    ("GET", "/employees/nobody", None, None, 400, "input-invalid"),
    ("POST", "/employees", None, b"<a/>", 415, "media-type-unsupported"),
    ("POST", "/employees", None, b" " * 900_001, 413, "body-too-large"),
    ("GET", "/reports/retired", None, None, 503, "operation-disabled"),
    ("GET", "/reports/yearly", None, None, 504, "timeout"),
    ("GET", "/payroll", None, None, 502, "upstream-failed"),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "status", "code"), REFUSALS,
                         ids=[f"{status} {code}" for *_, status, code in REFUSALS])
async def test_each_refusal_is_a_problem_with_its_own_code(
        platform: Platform, http: ClientSession, method: str, path: str, headers: dict[str, str] | None,
        body: bytes | None, status: int, code: str) -> None:
    sent = bearer(platform) if headers is None else headers
    if body is not None:
        sent = {**sent, "Content-Type": "text/xml"}
    async with http.request(method, f"{platform.ingress}/employee-directory{path}", headers=sent, data=body) as answer:
        problem = json.loads(await answer.read())
    assert (answer.status, problem["code"], problem["status"]) == (status, code, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    if status == 405:
        assert answer.headers["Allow"] == "GET, HEAD, POST"


async def test_unknown_project_answers_404(platform: Platform, http: ClientSession) -> None:
    async with http.get(f"{platform.ingress}/no-such-project/x") as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (404, "operation-not-found")


async def test_invalid_body_lists_every_error_with_its_pointer(platform: Platform, http: ClientSession) -> None:
    wrong = {"name": "", "email": "rosa@example.com", "department": "moon", "extra": 1}
    async with http.post(f"{platform.ingress}/employee-directory/employees", headers=bearer(platform),
                         json=wrong) as answer:
        problem = await answer.json(content_type=None)
    assert answer.status == 400
    assert {error["pointer"] for error in problem["errors"]} == {"/name", "/department", ""}


async def test_answer_of_a_dead_outside_system_does_not_name_its_address(
        platform: Platform, http: ClientSession) -> None:
    async with http.get(f"{platform.ingress}/employee-directory/payroll", headers=bearer(platform)) as answer:
        assert "127.0.0.1" not in await answer.text()


async def test_many_callers_at_once_each_get_their_own_answer(platform: Platform, http: ClientSession) -> None:
    async def ask(number: int) -> tuple[str, str]:
        person = ("e-100", "e-101", "e-102")[number % 3]
        async with http.get(f"{platform.ingress}/employee-directory/employees/{person}",
                            headers=bearer(platform)) as answer:
            return person, (await answer.json())["id"]

    for wanted, got in await asyncio.gather(*(ask(number) for number in range(PROJECT_BOUND))):
        assert wanted == got


async def test_openapi_and_reference_are_served_from_this_machine(platform: Platform, http: ClientSession) -> None:
    async with http.get(f"{platform.ingress}/employee-directory/openapi.json") as answer:
        assert (await answer.json())["openapi"] == "3.1.0"
    async with http.get(f"{platform.ingress}/employee-directory/reference") as answer:
        page = await answer.text()
    assert "http://" not in page
    assert "https://" not in page
    async with http.get(f"{platform.ingress}/-/viewer/swagger-ui-bundle.js") as answer:
        assert answer.status == 200
    async with http.get(f"{platform.ingress}/-/viewer/../secret") as answer:
        assert answer.status == 404


async def test_ready_only_after_a_real_request_went_through(platform: Platform, http: ClientSession) -> None:
    async with http.get(f"{platform.ingress}/-/ready") as answer:
        assert answer.status == 200
    async with http.get(f"{platform.ingress}/-/metrics") as answer:
        assert "weir_requests_total" in await answer.text()
