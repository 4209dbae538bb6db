"""The door of the admin API: what comes in a form that nobody can read is refused, and its words are in no log."""

import asyncio
import logging
import re
from types import SimpleNamespace
from typing import cast
from urllib.parse import quote

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from services.control.admin_openapi import admin_openapi
from services.control.api import Body, Call, Desk, Result, Route, truth
from services.control.inbox import AdminDoor, _body
from services.control.resources.access import Question
from services.control.resources.allowance import Raise
from services.control.resources.clients import NewClient, NewToken
from services.control.resources.credentials import NewCredential
from services.control.resources.projects import Apply, Rollback
from services.control.resources.signals import NewSignal
from services.control.wire import ROUTES, AdminServer
from shared.errors import InputInvalid
from shared.runtime.health import Health
from shared.telemetry.metrics import Metrics
from tests.support.calls import NOW
from tests.support.fakes import StoppedClock


async def take(_: Call) -> Result:
    return Result({})


@pytest.mark.parametrize("header", [b"Content-Encoding: gzip", b"X-Admin : secret"])
async def test_body_and_head_that_nobody_can_read_are_problems(caplog: pytest.LogCaptureFixture, header: bytes) -> None:
    caplog.set_level(logging.DEBUG)
    told = await answered(b"Authorization: Bearer t\r\nContent-Length: 6\r\n" + header + b"\r\n\r\nsecret")
    assert told.split(b"\r\n")[0].endswith(b" 400 Bad Request")
    assert b"Content-Type: application/problem+json" in told
    assert b'"code":"input-invalid"' in told
    assert b"secret" not in told
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("token", [b"\xff\xfe", b"\xc2\xa0", b"tt", "é".encode()])
async def test_token_of_any_bytes_is_refused(token: bytes) -> None:
    told = await answered(b"Connection: close\r\nAuthorization: Bearer " + token + b"\r\n\r\n")
    assert told.split(b"\r\n")[0].endswith(b" 401 Unauthorized")


async def test_wrong_tokens_are_counted_and_told_once_in_a_while_without_a_word_of_them(
        caplog: pytest.LogCaptureFixture) -> None:
    metrics, clock = Metrics(), StoppedClock(NOW)
    door = AdminDoor(cast(Desk, SimpleNamespace(clock=clock)), Health("control", metrics), [], "t")
    async with TestClient(TestServer(door.application)) as client:
        for _ in range(3):
            assert (await client.get("/v1/x", headers={"Authorization": "Bearer weiradmin_guess"})).status == 401
        clock.now += 60_000
        await client.get("/v1/x", headers={"Authorization": "Bearer weiradmin_guess"})
        await client.get("/v1/x")
        await client.get("/v1/x", headers={"Authorization": "Bearer t"})
    told = [record for record in caplog.records if getattr(record, "action", "") == "admin-refused"]
    assert [record.getMessage()[:8] for record in told] == ["1 calls ", "3 calls "]
    assert "guess" not in caplog.text
    text = metrics.text()[0].decode()
    assert 'weir_admin_refused_total{reason="credentials-invalid"} 4.0' in text
    assert 'weir_admin_refused_total{reason="credentials-missing"} 1.0' in text


async def test_work_hears_that_its_caller_has_gone() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work(call: Call) -> Result:
        began.set()
        for _ in range(500):
            if call.gone():
                ended.set()
                break
            await asyncio.sleep(0.01)
        return Result({})
    door = AdminDoor(cast(Desk, SimpleNamespace(clock=StoppedClock(NOW))), Health("control", Metrics()),
                     [Route(method="POST", path="/x", summary="x", handler=work)], "t")
    server = AdminServer(door.application, "127.0.0.1", 0)
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server._runner.addresses[0][1])
    writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Length: 0\r\n\r\n")
    await asyncio.wait_for(began.wait(), 5)
    await asyncio.sleep(0.05)
    assert not ended.is_set()
    writer.close()
    await asyncio.wait_for(ended.wait(), 5)
    await server.stop()


@pytest.mark.parametrize(("query", "says"), [
    ("clinet=till", "unknown 'clinet' in the query of the address, perhaps 'client' is meant; here may stand client, "),
    ("by=a&client=b&by=c", "by stands in the query of the address 2 times, and counts once"),
    ("errors=yes", "errors is true or false, not 'yes'"), ("errors=1&by=a", ""), ("errors=False", "")])
async def test_filter_that_would_be_passed_over_is_told(query: str, says: str) -> None:
    async def find(call: Call) -> Result:
        return Result({"errors": truth(call, "errors")})
    door = AdminDoor(cast(Desk, SimpleNamespace(clock=StoppedClock(NOW))), Health("control", Metrics()), [
        Route(method="GET", path="/x", summary="x", handler=find,
              query={"client": "x", "by": "x", "errors": "x"})], "t")
    server = AdminServer(door.application, "127.0.0.1", 0)
    await server.start()
    told = await say(server._runner.addresses[0][1], f"GET /v1/x?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     "Authorization: Bearer t\r\n\r\n".encode())
    await server.stop()
    head, body = told.split(b"\r\n\r\n")
    assert head.split(b"\r\n")[0].split()[1] == (b"400" if says else b"200")
    assert orjson.loads(body).get("detail", "").startswith(says)


async def answered(message: bytes) -> bytes:
    """What a door says to a request, without its first lines."""
    desk = cast(Desk, SimpleNamespace(clock=StoppedClock(NOW)))
    door = AdminDoor(desk, Health("control", Metrics()), [
        Route(method="POST", path="/x", summary="x", handler=take, body=Question)], "t")
    server = AdminServer(door.application, "127.0.0.1", 0)
    await server.start()
    told = await say(server._runner.addresses[0][1], b"POST /v1/x HTTP/1.1\r\nHost: x\r\n" + message)
    await server.stop()
    return told


async def say(port: int, message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


@pytest.mark.parametrize(("kind", "body", "pointer", "says"), [
    (NewToken, b'{"expires_in": 60}', "/expires_in", "unknown key 'expires_in', perhaps 'expires_in_s' is meant; "
     "here may stand expires_in_s"),
    (NewToken, b'{"expires_in_s": 0}', "/expires_in_s", "has to be greater than or equal to 1"),
    (NewClient, b"", "/name", "`name` is missing"),
    (NewClient, b'{"name": "a", "roles": "x"}', "/roles", "has to be a list; in [ ] it is one"),
    (NewClient, b"[]", "", "has to be an object with name, roles"),
    (NewClient, b"{x", "", "this is no JSON: key must be a string at line 1 column 2"),
    (NewSignal, b'{"kind": "ip", "subject": "10.0.0.0/8"}', "", "'10.0.0.0/8' is no address, and no IPv6 network of 64 "
     "bits (2001:db8:0:7::/64)"),
    (NewSignal, b'{"kind": "x", "subject": "y"}', "/kind", "has to be 'client', 'ip' or 'token'"),
    (NewSignal, b'{"kind": "ip", "subject": "192.0.2.1", "for_s": true}', "/for_s",
     "has to be a whole number, not true or false"),
    (NewToken, b'{"expires_in_s": true}', "/expires_in_s", "has to be a whole number, not true or false"),
    (Rollback, b'{"to": true}', "/to", "has to be a whole number, not true or false"),
    (Raise, b'{"by": true}', "/by", "has to be a whole number, not true or false"),
    (Apply, b'{"files": {"workflows/a~b.yaml": 1}}', "/files/workflows~1a~0b.yaml",
     "has to be a text; in quotes it is one")])
def test_body_that_does_not_fit_is_told_in_words_at_its_place(
        kind: type[Body], body: bytes, pointer: str, says: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        _body(kind, body)
    assert refused.value.members == {"errors": [{"in": "body", "pointer": pointer, "message": says}]}


@pytest.mark.parametrize("secret", ["", "pin-4711" * 2_000, ["pin-4711"], {"pin-4711": 1}, 4711])
def test_secret_that_does_not_fit_is_not_told(secret: object) -> None:
    with pytest.raises(InputInvalid) as refused:
        _body(NewCredential, orjson.dumps({"name": "crm", "kind": "bearer", "secret": secret}))
    assert "4711" not in str(refused.value.members)
    assert refused.value.members["errors"][0]["pointer"] == "/secret"


async def test_name_may_have_whatever_a_name_of_a_jwt_has() -> None:
    seen: list[str] = []

    async def show(call: Call) -> Result:
        seen.append(call.path["subject"])
        return Result({})
    door = AdminDoor(cast(Desk, SimpleNamespace(clock=StoppedClock(NOW))), Health("control", Metrics()), [
        Route(method="GET", path="/signals/{subject}/pin", summary="", handler=show)], "t")
    names = ["{a}", "a/b", "a b", "%7B", "\u00e9"]
    async with TestClient(TestServer(door.application)) as client:
        for name in names:
            address = URL(f"/v1/signals/{quote(name, safe='')}/pin", encoded=True)
            assert (await client.get(address, headers={"Authorization": "Bearer t"})).status == 200
    assert seen == names


def test_document_tells_the_bounds_of_numbers_and_which_words_an_address_takes() -> None:
    document = admin_openapi(ROUTES)
    told = orjson.dumps(document).decode()
    assert '"ge":' not in told
    assert '"le":' not in told
    schemas = document["components"]["schemas"]
    assert schemas["NewLevel"]["properties"]["for_s"] == {
        "default": 900, "maximum": 86_400, "minimum": 0, "title": "For S", "type": "integer"}
    assert schemas["Rotation"]["properties"]["expires_in_s"]["anyOf"][0]["minimum"] == 1
    forms = {(path, one["name"]): one["schema"] for path, methods in document["paths"].items()
             for operation in methods.values() for one in operation["parameters"]}
    assert forms["/v1/log-levels/{service}", "service"]["enum"][-1] == "*"
    assert forms["/v1/projects/{project}/signals/{kind}/{subject}/pin", "kind"]["enum"] == ["client", "ip", "token"]
    assert forms["/v1/usage", "top"] == {"type": "integer", "minimum": 1, "maximum": 2_000}
    assert forms["/v1/traces", "errors"] == {"type": "boolean"}
    assert re.fullmatch(forms["/v1/usage", "by"]["pattern"], "client,status")
    bodies = {operation["operationId"]: operation["requestBody"]["required"] for methods in document["paths"].values()
              for operation in methods.values() if "requestBody" in operation}
    assert (bodies["apply"], bodies["create_token"]) == (True, False)


def test_each_form_is_that_of_a_part_of_the_address() -> None:
    for route in ROUTES:
        assert set(route.forms) <= {*route.query, *re.findall(r"\{(\w+)\}", route.path)}
