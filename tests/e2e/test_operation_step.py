"""Workflows that call operations of other projects, over Kafka, through those projects' policies."""

import asyncio
import os
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.platform import Platform, eventually

SHOP = {
    "operations.yaml": """operations:
  - { name: price, method: GET, path: "/prices/{sku}", workflow: price, input: { query: { type: object, properties: {
      pieces: { type: integer } } } } }
  - { name: order, method: POST, path: /orders, workflow: order, public: true }
  - { name: again, method: POST, path: /again, workflow: again, public: true }
  - { name: round, method: POST, path: /round, workflow: round, public: true }
  - { name: heard, method: POST, path: /heard, workflow: heard, public: true }
  - { name: read, method: POST, path: /read, workflow: read, public: true, mode: events }
""",
    "access.yaml": "clients: [{ name: desk }]\n",
    "workflows/price.yaml": """steps:
  - id: answer
    reply:
      status: 201
      headers: { x-sku: "{% trigger.path.sku %}" }
      body: { pieces: "{% trigger.query.pieces %}", client: "{% trigger.client %}" }
""",
    "workflows/order.yaml": "steps: [{ id: answer, reply: { body: { got: '{% trigger.body %}' } } }]",
    "workflows/read.yaml": "steps: [{ id: one, emit: { data: 1 } }, { id: answer, reply: {} }]",
    "workflows/heard.yaml": """steps:
  - { id: next, operation: { project: SELF, operation: read }, fallback: "{% errors.next.kind %}" }
  - { id: answer, reply: { body: "{% steps.next %}" } }
""",
    "workflows/again.yaml": """steps:
  - { id: next, operation: { project: SELF, operation: again, body: 1 } }
  - { id: answer, reply: {} }
""",
    "workflows/round.yaml": """steps:
  - id: next
    operation: { project: SELF, operation: round, body: 1 }
    fallback: { body: "{% errors.next.kind %}" }
  - { id: answer, reply: { body: "{% steps.next.body %}" } }
"""}
DESK = {
    "operations.yaml": """operations:
  - { name: look, method: POST, path: /look, workflow: look, public: true }
  - { name: ask, method: POST, path: /ask, workflow: ask, public: true }
""",
    "workflows/look.yaml": """steps:
  - id: price
    operation:
      project: SHOP
      operation: price
      params: { sku: "{% trigger.body.sku %}", pieces: 3 }
      credential: "{CREDENTIAL}"
    on_error: continue
  - id: answer
    reply: { body: { price: "{% steps.price %}", why: "{% errors.price.message %}" } }
""",
    "workflows/ask.yaml": """durable: true
steps:
  - { id: order, operation: { project: SHOP, operation: order, body: { n: 1 } } }
  - { id: answer, reply: { body: "{% steps.order %}" } }
"""}


@pytest.fixture
async def desk(platform: Platform, http: ClientSession) -> Any:
    shop, name = f"shop-{os.urandom(4).hex()}", f"desk-{os.urandom(4).hex()}"

    async def apply(project: str, files: dict[str, str], **texts: str) -> None:
        made = {"weir.yaml": f"name: {project}\n", **files}
        for old, new in {"SHOP": shop, "SELF": shop, **texts}.items():
            made = {path: text.replace(old, new) for path, text in made.items()}
        await asyncio.to_thread(platform.admin, "POST", f"/projects/{project}/versions", {"files": made})
    await apply(shop, SHOP)
    token = platform.admin("POST", f"/projects/{shop}/clients/desk/tokens", {})["token"]

    async def call(project: str, path: str, body: Any) -> tuple[int, Any]:
        async with http.post(f"{platform.ingress}/{project}{path}", json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def looked(credential: str) -> Any:
        await apply(name, DESK, **{'"{CREDENTIAL}"': credential})
        await platform.configured(http)
        return (await call(name, "/look", {"sku": "pears"}))[1]
    await apply(name, DESK, **{'"{CREDENTIAL}"': "shop"})
    for kind, more in (("bearer", {}), ("basic", {"username": "x"})):
        platform.admin("POST", f"/projects/{name}/credentials", {
            "name": "shop" if kind == "bearer" else kind, "kind": kind, "members": more, "secret": token})
    return shop, name, call, looked


async def test_workflow_calls_another_project_as_its_client(desk: Any, platform: Platform) -> None:
    shop, name, call, looked = desk
    found = await looked("shop")
    assert found["price"] == {"status": 201, "headers": {"x-sku": "pears"}, "body": {"pieces": 3, "client": "desk"}}
    assert await call(name, "/ask", None) == (200, {"status": 200, "headers": {}, "body": {"got": {"n": 1}}})

    async def counted() -> bool:
        found = {}
        for project in (shop, name):
            usage = await asyncio.to_thread(platform.admin, "GET", f"/projects/{project}/usage?by=operation")
            found |= {row["operation"]: (row["requests"], row["tasks"]) for row in usage["rows"]}
        # each project counts what ran in it
        return found == {"price": (1, 2), "order": (1, 2), "look": (1, 3), "ask": (1, 3)}
    await eventually(counted, within_s=6)


async def test_policy_of_the_other_project_is_not_to_be_passed_by(desk: Any) -> None:
    *_, looked = desk
    assert (await looked("basic"))["why"].startswith("credential 'basic' is of the kind basic")
    found = await looked("none")
    assert "there is no credential 'none'" in found["why"]


async def test_operation_with_events_gives_no_answer_to_a_step(desk: Any) -> None:
    shop, _, call, _ = desk
    assert await call(shop, "/heard", None) == (200, "answers-in-parts")


async def test_refusal_says_its_code_and_circle_of_operations_ends(desk: Any) -> None:
    shop, _, call, _ = desk
    status, body = await call(shop, "/again", 1)
    assert (status, body["code"], body["step"]) == (502, "upstream-failed", "next")
    # the innermost says why, and each one around it passes that on
    assert await call(shop, "/round", 1) == (200, "too-deep")
