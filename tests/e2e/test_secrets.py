"""Every kind of proof is taken by the running cluster, and none leaves a trace of its secret anywhere."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import ClientSession, TCPConnector, web

from shared.contracts.token import new_token
from shared.names.topics import TOPICS
from tests.support.issuer import Issuer, signed
from tests.support.platform import CERTIFICATE_HEADER, PROXY, SECRET, SECRET_NAME, Platform, eventually
from tests.support.topics import records


@dataclass
class Shop:
    """A project that takes every kind of proof; `used`: every secret that was sent."""

    platform: Platform
    name: str
    issuer: Issuer
    token: str = ""
    token_id: str = ""
    jwks: str = ""
    used: list[str] = field(default_factory=list)

    async def call(self, http: ClientSession, path: str = "/ask", **request: Any) -> tuple[int, Any]:
        async with http.request(request.pop("method", "POST"), f"{self.platform.ingress}/{self.name}{path}",
                                **request) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    def bearer(self, token: str) -> dict[str, Any]:
        self.used.append(token)
        return {"headers": {"Authorization": f"Bearer {token}"}}

    def message(self, message_id: str, body: bytes = b'{"sold": 1}', secret: str = SECRET) -> dict[str, Any]:
        now_s = int(time.time())
        signature = signed(secret, message_id, now_s, body)
        self.used.append(signature)
        return {"data": body, "headers": {
            "webhook-id": message_id, "webhook-timestamp": str(now_s), "webhook-signature": signature,
            "Content-Type": "application/json"}}


ACCESS = """
roles: [reader]
clients: [{{name: c}}, {{name: till}}, {{name: depot}}, {{name: shop, roles: [reader]}}]
authentication:
  api_key: {{header: X-Shop-Key, query: key}}
  jwt: [{{issuer: "https://id.example", audience: weir, jwks: "{jwks}"}}]
  signature: [{{client: till, secret: {secret}}}]
  certificate: {{"CN=depot,O=Acme": depot}}
policies:
  - {{name: no-chiefs, action: reject, rules: [{{claim: {{name: chief, is: true}}}}]}}
"""


@pytest.fixture(scope="module")
async def shop(platform: Platform, http: ClientSession) -> AsyncIterator[Shop]:
    issuer = Issuer()

    async def keys(_: web.Request) -> web.Response:
        return web.json_response(issuer.published)
    application = web.Application()
    application.router.add_get("/keys", keys)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # it listens
    name = f"t{uuid.uuid4().hex[:12]}"
    operations = [{"name": "ask", "method": "POST", "path": "/ask", "workflow": "w"},
                  {"name": "keyed", "method": "POST", "path": "/keyed", "workflow": "w", "authentication": ["api_key"]},
                  {"name": "spoil", "method": "POST", "path": "/spoil", "workflow": "spoiled",
                   "authentication": ["signature"]}]
    workflow = {"steps": [{"id": "answer", "reply": {"body": {"client": "{% trigger.client %}",
                                                              "seen": "{% trigger %}"}}}]}
    spoiled = {"steps": [{"id": "no", "fail": {"message": "no", "status": 500}}]}
    made = Shop(platform, name, issuer, jwks=f"http://127.0.0.1:{port}/keys")
    files = {"weir.yaml": f"name: {name}\n", "operations.yaml": json.dumps({"operations": operations}),
             "workflows/w.yaml": json.dumps(workflow), "workflows/spoiled.yaml": json.dumps(spoiled),
             "access.yaml": ACCESS.format(jwks=made.jwks, secret=SECRET_NAME)}
    platform.admin("POST", f"/projects/{name}/versions", {"files": files})
    token = platform.admin("POST", f"/projects/{name}/clients/c/tokens", {})
    made.token, made.token_id = token["token"], token["id"]
    await platform.configured(http)
    yield made
    await runner.cleanup()


async def test_token_is_taken_as_bearer_as_header_and_in_the_query(shop: Shop, http: ClientSession) -> None:
    with_another = {"headers": {"Authorization": "Bearer of-another-system", "X-Shop-Key": shop.token}}
    for way in (shop.bearer(shop.token), {"headers": {"X-Shop-Key": shop.token}}, with_another,
                {"params": {"key": shop.token}}):
        status, body = await shop.call(http, **way)
        assert (status, body["client"]) == (200, "c")
        assert shop.token not in json.dumps(body)
    assert body["seen"]["query"] == {}
    unknown = new_token()
    for bad, good in ((unknown, shop.token), (shop.token, unknown)):
        status, body = await shop.call(http, headers={"Authorization": f"Bearer {bad}", "X-Shop-Key": good})
        assert (status, body["client"]) == (200, "c")
    assert (await shop.call(http, "/keyed", **shop.bearer(shop.token)))[0] == 401
    assert (await shop.call(http, "/keyed", headers={"X-Shop-Key": shop.token}))[0] == 200


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_token_of_an_issuer_is_taken(shop: Shop, http: ClientSession, algorithm: str) -> None:
    now_ms = int(time.time() * 1000)
    status, body = await shop.call(http, **shop.bearer(shop.issuer.token(now_ms, algorithm)))
    assert (status, body["client"]) == (200, "shop")
    status, problem = await shop.call(http, **shop.bearer(shop.issuer.token(now_ms, algorithm, chief=True)))
    assert (status, problem["policy"]) == (403, "no-chiefs")
    status, problem = await shop.call(http, **shop.bearer(shop.issuer.token(now_ms - 3_600_000, algorithm)))
    assert (status, problem["code"]) == (401, "credentials-expired")


async def test_key_that_the_issuer_has_rotated_in_is_fetched_and_one_that_it_has_withdrawn_counts_no_more(
        shop: Shop, http: ClientSession) -> None:
    def key(number: int) -> str:
        """Publish another key in place of the one before; a token of it, as good for a time as any."""
        shop.issuer.keys["ES256"] = Issuer(f"https://{number}.example").keys["ES256"]
        return shop.issuer.token(int(time.time() * 1000))

    async def told(token: str) -> tuple[int, str]:
        status, body = await shop.call(http, **shop.bearer(token))
        if status == 503:
            # its keys were being fetched just then
            status, body = await shop.call(http, **shop.bearer(token))
        return status, body.get("detail", "")

    async def everywhere(token: str, wanted: tuple[int, str]) -> bool:
        # so many in a row: each of three instances has decided
        return all([await told(token) == wanted for _ in range(30)])
    unknown = 401, "the token is signed with a key that its issuer does not publish"
    withdrawn = key(1)
    # asked at once, but not more often than every second; by itself each instance asks every six
    await eventually(lambda: everywhere(withdrawn, (200, "")), within_s=3)
    fresh = key(2)
    await eventually(lambda: everywhere(fresh, (200, "")), within_s=3)
    assert await everywhere(withdrawn, unknown), "what was verified before is not remembered"
    # no token says that there is another key
    latest = key(3)
    await eventually(lambda: everywhere(fresh, unknown), within_s=9)
    assert await told(latest) == (200, "")


async def test_signed_message_is_taken_once(shop: Shop, http: ClientSession) -> None:
    message = shop.message(f"msg_{uuid.uuid4().hex}")
    status, body = await shop.call(http, **message)
    assert (status, body["client"]) == (200, "till")
    status, problem = await shop.call(http, **message)
    assert (status, problem["detail"]) == (401, "this message has been delivered before")
    status, _ = await shop.call(http, **shop.message("msg_x", secret="whsec_d3Jvbmc="))
    assert status == 401


async def test_signed_message_whose_call_has_failed_is_taken_again(shop: Shop, http: ClientSession) -> None:
    message = shop.message(f"msg_{uuid.uuid4().hex}")
    for _ in range(2):
        status, problem = await shop.call(http, "/spoil", **message)
        assert (status, problem["code"]) == (500, "workflow-failed")
    assert (await shop.call(http, **message))[0] == 200
    for path in ("/ask", "/spoil"):
        assert (await shop.call(http, path, **message))[0] == 401


async def test_signed_message_with_an_idempotency_key_gets_the_first_answer_again(
        shop: Shop, http: ClientSession) -> None:
    message = shop.message(f"msg_{uuid.uuid4().hex}")
    keyed = {**message, "headers": {**message["headers"], "Idempotency-Key": uuid.uuid4().hex}}
    first, again = [await shop.call(http, **keyed) for _ in range(2)]
    assert first == again
    assert first[0] == 200
    other = {**message, "headers": {**message["headers"], "Idempotency-Key": uuid.uuid4().hex}}
    assert (await shop.call(http, **other))[0] == 401


def test_explain_and_matrix_know_callers_whom_a_token_names(shop: Shop) -> None:
    words = ("access", "explain", "--project", shop.name, "--operation", "ask", "--json")
    admitted = json.loads(shop.platform.weir(*words, "--claim", "sub=anybody").stdout)
    assert admitted["decision"]["code"] == "ok"
    assert "client anybody, roles none" in [check["saw"] for check in admitted["checks"]]
    chief = json.loads(shop.platform.weir(*words, "--client", "anybody", "--claim", "chief=true").stdout)
    assert chief["decision"]["policy"] == "no-chiefs"
    rows = json.loads(shop.platform.weir("access", "matrix", "--project", shop.name, "--json").stdout)
    assert [(row["operation"], row["client"], row["may"]) for row in rows if row["issuer"] == shop.issuer.name] == [
        ("ask", "*", "depends")]


async def test_certificate_counts_only_when_a_trusted_proxy_tells_it(shop: Shop, http: ClientSession) -> None:
    headers = {CERTIFICATE_HEADER: "CN=depot,O=Acme", "X-Forwarded-For": "203.0.113.9"}
    assert (await shop.call(http, headers=headers))[0] == 401
    async with ClientSession(connector=TCPConnector(local_addr=(PROXY, 0))) as proxy:
        status, body = await shop.call(proxy, headers=headers)
    assert (status, body["client"], body["seen"]["ip"]) == (200, "depot", "203.0.113.9")


async def test_rotated_token_goes_on_for_the_overlap_and_its_use_is_known(shop: Shop, http: ClientSession) -> None:
    made = shop.platform.admin("POST", f"/projects/{shop.name}/clients/c/tokens/rotate", {"overlap_s": 2})

    async def expired() -> bool:
        return (await shop.call(http, **shop.bearer(shop.token)))[1].get("code") == "credentials-expired"
    assert (await shop.call(http, **shop.bearer(shop.token)))[0] == 200
    await eventually(expired, within_s=5)
    assert (await shop.call(http, **shop.bearer(made["token"])))[0] == 200

    def used() -> bool:
        rows = {row["id"]: row["used"] for row in shop.platform.admin("GET", f"/projects/{shop.name}/tokens")}
        return rows[made["id"]] is not None and abs(rows[made["id"]] - time.time() * 1000) < 10_000
    await eventually(used)


def redis_texts(platform: Platform) -> list[bytes]:
    """Everything that stands in the store."""
    with redis.Redis.from_url(platform.redis_url) as client:
        client.config_set("rdbcompression", "no")
        return [key + b"\n" + (client.dump(key) or b"") for key in client.scan_iter(count=1000)]


def logs(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_no_secret_is_in_any_topic_log_or_store(shop: Shop, http: ClientSession) -> None:
    now_ms = int(time.time() * 1000)
    sampled = {"traceparent": f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01"}
    token = shop.platform.admin("POST", f"/projects/{shop.name}/clients/c/tokens", {})["token"]
    for way in (shop.bearer(token), shop.bearer(shop.issuer.token(now_ms)), shop.bearer(f"{token[:-1]}x"),
                shop.bearer(shop.issuer.token(now_ms, aud="else")), shop.message(f"msg_{uuid.uuid4().hex}"),
                {"headers": {"Cookie": f"session={token}", "Proxy-Authorization": f"Basic {token}"}},
                {"headers": {"X-Shop-Key": token}}, {"params": {"key": token}},
                {"headers": {"Authorization": f"Bearer {token[:-1]}x", "X-Shop-Key": token}}):
        way["headers"] = {**way.get("headers", {}), **sampled}
        await shop.call(http, **way)
    shop.used += [token, SECRET, SECRET.removeprefix("whsec_"), (shop.platform.state_dir / "cluster-key").read_text(),
                  shop.platform.admin_token, shop.platform.demo_token]
    await asyncio.sleep(2)
    # a JWT's first part says only how it is signed; what must not be found is its claims and its signature
    secrets = {part.encode() for text in shop.used
               for part in (text.split(".")[1:] if text.count(".") == 2 else [text])}
    places = {"topics": await records(shop.platform, *(topic.name for topic in TOPICS)),
              "store": redis_texts(shop.platform), "logs": logs(shop.platform.state_dir / "logs")}
    assert all(places.values())
    assert sum(shop.name.encode() in text for text in places["topics"]) > 30
    assert any(shop.token_id.encode() in text for text in places["store"])
    for where, texts in places.items():
        for text in texts:
            assert not any(secret in text for secret in secrets), (where, text[:500])
