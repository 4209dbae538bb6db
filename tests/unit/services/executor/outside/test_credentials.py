"""Credentials at work, against real HTTP."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from services.executor.outside import credentials
from services.executor.outside.client import OutsideClient, Request
from services.executor.outside.credentials import Credentials
from services.executor.retries import kind_of, retry_after_ms
from shared.contracts.config import Credential
from shared.contracts.credentials import place_of, unusable
from shared.contracts.sealed import Seal, SealBroken
from shared.errors import TimedOut, UpstreamFailed
from shared.runtime.addresses import Addresses
from tests.support.fakes import StoppedClock
from tests.support.platform import eventually
from tests.unit.services.executor.test_walk import body_of, error_of, reply

KEY = secrets.token_urlsafe(32)
SEAL = Seal(KEY)


@dataclass
class Outside:
    """Tells what it got; gives tokens, and takes none that was given up."""

    url: str = ""
    tokens: int = 0
    given_up: set[str] = field(default_factory=set)
    expires_in: Any = 300
    token_answer: Any = None
    token_status: int = 200
    token_pause_s: float = 0
    token_requests: list[Any] = field(default_factory=list)


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    found = Outside()

    async def echo(request: web.Request) -> web.Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer in found.given_up:
            return web.Response(status=401)
        return web.json_response({"headers": {
            name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers},
                                  "query": dict(request.query), "body": (await request.read()).decode()})

    async def token(request: web.Request) -> web.Response:
        found.tokens += 1
        await asyncio.sleep(found.token_pause_s)
        found.token_requests.append((request.headers["authorization"], dict(await request.post())))
        if found.token_answer is not None:
            return web.Response(body=found.token_answer)
        return web.json_response({"access_token": f"t{found.tokens}", "expires_in": found.expires_in},
                                 status=found.token_status, headers={"Retry-After": "7"})

    async def away(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": request.query["to"]})

    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()
    application = web.Application()
    application.router.add_post("/hang-up", hang_up)
    application.router.add_route("*", "/echo", echo)
    application.router.add_route("*", "/away", away)
    application.router.add_post("/token", token)
    async with TestServer(application) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


def sealed(kind: str, seal: Seal = SEAL, name: str = "crm", **members: str) -> tuple[Seal, list[Credential]]:
    text = seal.close(members, place_of("p", name))
    return seal, [Credential(project="p", name="crm", kind=kind, time=0, sealed=text)]


def call(outside: Outside, path: str = "/echo", step_id: str = "call", **more: Any) -> dict[str, Any]:
    return {"id": step_id, "http": {"method": "POST", "url": outside.url + path, "credential": "crm", **more}}


async def seen(outside: Outside, credential: Any, **more: Any) -> Any:
    return await body_of(call(outside, **more), reply("{% steps.call.body %}"), sealed=credential)


async def test_bearer_basic_and_api_keys(outside: Outside) -> None:
    made = await seen(outside, sealed("bearer", token="abc"), headers={"Authorization": "mine"})
    assert made["headers"]["authorization"] == "Bearer abc"
    made = await seen(outside, sealed("basic", username="ada", password="s:t"))
    assert base64.b64decode(made["headers"]["authorization"].removeprefix("Basic ")) == b"ada:s:t"
    assert (await seen(outside, sealed("api_key", value="k")))["headers"]["x-api-key"] == "k"
    for headers in ({}, {"X-Maps": "mine"}):
        made = await seen(outside, sealed("api_key", value="k", header="X-Maps"), headers=headers)
        assert made["headers"]["x-maps"] == "k"
    assert (await seen(outside, sealed("api_key", value="k", query="key"), query={"a": 1}))["query"] == {
        "a": "1", "key": "k"}


@pytest.mark.parametrize(("name", "value"), [("transfer-encoding", "chunked"), ("Content-Length", "3")])
async def test_where_a_body_ends_is_not_for_a_credential_to_say(outside: Outside, name: str, value: str) -> None:
    body = "0\r\n\r\nGET / HTTP/1.1"
    made = await seen(outside, sealed("api_key", value=value, header=name), body=body)
    assert (made["body"], made["headers"]["content-length"]) == (body, "19")
    assert "transfer-encoding" not in made["headers"]
    assert "says where a body ends" in str(unusable({"value": value, "header": name}))


async def test_hmac_is_a_signature_by_standard_webhooks(outside: Outside) -> None:
    raw = secrets.token_bytes(24)
    made = await seen(outside, sealed("hmac", secret="whsec_" + base64.b64encode(raw).decode()), body={"n": 1})
    signed = f"{made['headers']['webhook-id']}.{made['headers']['webhook-timestamp']}.{made['body']}".encode()
    expected = base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
    assert made["headers"]["webhook-signature"] == f"v1,{expected}"
    assert abs(int(made["headers"]["webhook-timestamp"]) - time.time()) < 60


@pytest.mark.parametrize(("members", "body", "name"), [
    ({}, b"x", "webhook-signature"), ({"header": "X-Sign"}, None, "X-Sign")])
def test_signature_is_of_the_key_of_an_effect_and_in_the_header_that_its_owner_names(
        members: dict[str, str], body: bytes | None, name: str) -> None:
    request = Request(method="POST", url=URL("https://h.example/"), headers={"idempotency-key": "r/pay"}, body=body)
    made = credentials.proven(request, "hmac", {"secret": "s", **members}, 1_768_685_400_999).headers
    expected = base64.b64encode(hmac.digest(b"s", b"r/pay.1768685400." + (body or b""), "sha256")).decode()
    assert made == {"idempotency-key": "r/pay", "webhook-id": "r/pay", "webhook-timestamp": "1768685400",
                    name: f"v1,{expected}"}


async def test_each_message_has_an_id_of_its_own_and_each_try_of_it_the_same(outside: Outside) -> None:
    async def ids(execution: str) -> list[str]:
        step = {"id": "l", "loop": {"over": [1, 1, 2], "collect": "{% steps.call.body.headers.`webhook-id` %}",
                                    "steps": [call(outside, body={"n": "{% loop.item %}"})]}}
        made: list[str] = await body_of(step, reply("{% steps.l %}"), sealed=sealed("hmac", secret="s"),
                                        request_id=execution)
        return made
    first, again, other = await ids("r1"), await ids("r1"), await ids("r2")
    assert first == again
    assert first[0] == first[1] != first[2]
    assert not {*first} & {*other}


def oauth2(outside: Outside) -> Any:
    return sealed("oauth2", token_url=f"{outside.url}/token", client_id="weir", client_secret="s", scope="read")


async def test_oauth2_token_is_fetched_once_and_kept(outside: Outside) -> None:
    many = {"id": "many", "loop": {"over": [1, 2, 3, 4], "concurrency": 4, "steps": [call(outside)]}}
    await body_of(many, reply(1), sealed=oauth2(outside))
    assert outside.tokens == 1
    authorization, form = outside.token_requests[0]
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"weir:s"
    assert form == {"grant_type": "client_credentials", "scope": "read"}


async def test_token_endpoint_that_hangs_is_named_with_its_own_time(outside: Outside,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_TOKEN_TIMEOUT_S", 0.05)
    outside.token_pause_s = 1
    error = await error_of(call(outside), reply(), sealed=oauth2(outside))
    assert isinstance(error, TimedOut)
    assert str(error) == "the token endpoint did not answer within 0.05 s"


@pytest.mark.parametrize(("token_url", "says"), [
    ("http://127.0.0.1:1/token", "the token endpoint could not be reached"),
    ("{}/hang-up", "the token endpoint closed the connection before it answered")])
async def test_token_endpoint_that_cannot_be_asked_is_not_taken_for_the_outside_system(
        outside: Outside, token_url: str, says: str) -> None:
    credential = sealed("oauth2", token_url=token_url.format(outside.url), client_id="c", client_secret="s")
    error = await error_of(call(outside), reply(), sealed=credential)
    assert (kind_of(error), says in str(error), outside.tokens) == ("upstream-failed", True, 0), error


async def test_token_endpoint_at_a_private_address_is_refused(outside: Outside) -> None:
    error = await error_of(call(outside), reply(), sealed=sealed(
        "oauth2", token_url="http://10.0.0.1/token", client_id="c", client_secret="s"))
    assert kind_of(error) == "address-refused"


async def test_token_that_comes_later_than_a_step_waits_is_there_for_its_next_try(outside: Outside) -> None:
    outside.token_pause_s = 0.15
    step = {**call(outside, timeout="100ms"), "retry": {"attempts": 3, "delay": "50ms", "jitter": 0}}
    await body_of(step, reply(1), sealed=oauth2(outside))
    assert outside.tokens == 1


async def test_each_step_that_waited_for_a_token_in_vain_is_named(outside: Outside) -> None:
    outside.token_status, outside.token_pause_s = 503, 0.05
    branches = {name: [{**call(outside, step_id=name), "fallback": None}] for name in ("a", "b")}
    made = await body_of({"id": "both", "parallel": {"branches": branches}}, reply("{% errors %}"),
                         sealed=oauth2(outside))
    assert ({name: error["step"] for name, error in made.items()}, outside.tokens) == ({"a": "a", "b": "b"}, 1)


async def test_oauth2_proof_of_the_client_is_as_in_a_form(outside: Outside) -> None:
    credential = sealed("oauth2", token_url=f"{outside.url}/token", client_id="a:b c", client_secret="s%+é")
    await body_of(call(outside), reply(1), sealed=credential)
    assert base64.b64decode(outside.token_requests[0][0].removeprefix("Basic ")) == b"a%3Ab+c:s%25%2B%C3%A9"


async def test_token_endpoint_that_asks_for_time_gets_it(outside: Outside) -> None:
    outside.token_status = 503
    error = await error_of(call(outside), reply(), sealed=oauth2(outside))
    assert (error.members["upstream_status"], retry_after_ms(error)) == (503, 7_000)


@pytest.mark.parametrize("answer", [b"", b"s3cret", b'["s3cret"]', b'{"token": "s3cret"}',
                                    b'{"access_token": ["s3cret"]}'])
async def test_answer_of_a_token_endpoint_without_a_token_is_a_failure_that_shows_nothing(
        outside: Outside, answer: bytes) -> None:
    outside.token_answer = answer
    error = await error_of(call(outside), reply(), sealed=oauth2(outside))
    assert (kind_of(error), str(error)) == ("upstream-failed", "the token endpoint gave no token (200)")
    assert "s3cret" not in str(error.members)


@pytest.mark.parametrize(("expires_in", "fetched"), [
    (1e308, 1), (-1e308, 2), (300, 1), ("300", 1), ("0", 2), ("\u00b2", 1), ("\u0660", 1), (None, 1)])
async def test_life_of_a_token_may_be_anything(outside: Outside, expires_in: Any, fetched: int) -> None:
    outside.expires_in = expires_in
    await body_of(call(outside, step_id="one"), call(outside), reply(1), sealed=oauth2(outside))
    assert outside.tokens == fetched


async def test_token_that_is_good_still_is_used_while_the_next_one_cannot_be_had(outside: Outside) -> None:
    clock, http = StoppedClock(), OutsideClient(Addresses(["127.0.0.0/8"]), connections=9, per_host=9)
    seal, [made] = oauth2(outside)
    known = Credentials(seal, http, clock)
    known.take(made)
    request = Request(method="GET", url=URL(f"{outside.url}/echo"), headers={})

    async def bearer() -> str:
        async with asyncio.timeout(2):
            answer = await known.send("p", "crm", request, 0, 999)
        return str(json.loads(answer.body)["headers"]["authorization"])

    async def next_one() -> bool:
        return await bearer() == "Bearer t3"
    assert await bearer() == "Bearer t1"
    clock.now += 269_000
    assert (await bearer(), outside.tokens) == ("Bearer t1", 1)
    clock.now += 2_000
    outside.token_status = 503
    assert await bearer() == "Bearer t1"
    await eventually(lambda: known._grants[made.sealed].renew_ms > clock.now_ms() + 1_000)
    clock.now += 6_000
    assert [await bearer() for _ in range(9)] == ["Bearer t1"] * 9
    assert outside.tokens == 2, "its endpoint has asked for seven seconds"
    clock.now += 2_000
    outside.token_status, outside.token_pause_s = 200, 0.2
    assert await bearer() == "Bearer t1", "nobody waits for the next one"
    await eventually(next_one)
    clock.now += 301_000
    outside.token_status = 503
    with pytest.raises(UpstreamFailed, match="gave no token"):
        await bearer()
    await http.stop()


async def test_oauth2_token_that_has_ended_or_is_refused_is_fetched_anew(outside: Outside) -> None:
    outside.expires_in = 0.001
    made = await body_of(call(outside, step_id="one"), {"id": "pause", "delay": {"for": "5ms"}}, call(outside),
                         reply("{% steps.call.body.headers.authorization %}"), sealed=oauth2(outside))
    assert made == "Bearer t2"
    outside.expires_in = 300
    outside.given_up |= {"t3"}
    made = await body_of(call(outside), reply("{% steps.call.body.headers.authorization %}"), sealed=oauth2(outside))
    assert made == "Bearer t4"
    outside.given_up |= {"t5", "t6"}
    error = await error_of(call(outside), reply(), sealed=oauth2(outside))
    assert error.members["upstream_status"] == 401


async def test_proof_stays_with_its_host(outside: Outside) -> None:
    other = outside.url.replace("127.0.0.1", "localhost") + "/echo"
    made = await body_of(call(outside, "/away", query={"to": other}), reply("{% steps.call.body %}"),
                         sealed=sealed("api_key", value="k", header="x-mine"), allow=("127.0.0.0/8", "::1/128"))
    assert "x-mine" not in made["headers"]


async def test_what_cannot_be_used_says_why_and_shows_nothing(outside: Outside) -> None:
    for credential, kind in ((None, "credential-missing"), (sealed("bearer", name="other", token="abc"),
                                                             "credential-unusable"),
                             (sealed("hmac", secret="whsec_!"), "credential-unusable"),
                             ((None, sealed("bearer", token="abc")[1]), "credential-unusable")):
        error = await error_of(call(outside), reply(), sealed=credential)
        assert error.members["error"] == kind
        assert "abc" not in json.dumps(error.members) + str(error)


def test_key_can_be_replaced() -> None:
    new, old = secrets.token_urlsafe(32), SEAL.close({"a": "b"}, "x")
    both = Seal(f"{new}, {KEY}")
    assert both.open(old, "x") == {"a": "b"}
    assert Seal(new).open(both.close({"c": "d"}, "x"), "x") == {"c": "d"}
    with pytest.raises(SealBroken):
        Seal(new).open(old, "x")
    with pytest.raises(SealBroken):
        both.open(old, "y")
