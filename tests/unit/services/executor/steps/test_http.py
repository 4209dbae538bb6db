"""The http step against real HTTP: what goes out, what comes back, where it may go."""

import asyncio
import base64
import gzip
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError
from yarl import URL

from services.executor.outside.client import Request
from services.executor.retries import asked_to_wait, kind_of, status_of
from shared.errors import UpstreamFailed, WorkflowFailed
from shared.project.steps.work import HttpSettings, Tls
from shared.telemetry.otlp import export_request
from shared.telemetry.span import Span
from tests.unit.services.executor.test_run import perform
from tests.unit.services.executor.test_walk import body_of, error_of, reply

Json = dict[str, Any]


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({
            "method": request.method, "query": sorted(request.query.items()), "type": request.content_type,
            "body": (await request.read()).decode("latin-1"), "secret": request.headers.get("authorization"),
            "own": request.headers.get("x-own"), "agent": request.headers["user-agent"],
            "framing": [request.headers.get("content-length"), request.headers.get("transfer-encoding")]})

    async def go(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]), headers={"Location": request.query["to"]})

    async def raw(request: web.Request) -> web.Response:
        return web.Response(body=b"\xff\x00{", headers={"Content-Type": request.query["type"]})

    async def form(request: web.Request) -> web.Response:
        found = []
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                found.append([name, value.filename, f"{value.content_type} {value.file.read().decode('latin-1')}"])
            else:
                found.append([name, None, value])
        return web.json_response(found)

    async def say(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]))

    application = web.Application()
    application.router.add_post("/form", form)
    application.router.add_get("/say/{status}", say)
    # the whole URL, as a proxy is asked for it
    application.router.add_route("*", "/echo", echo)
    application.router.add_route("*", "/go/{status}", go)
    application.router.add_get("/raw", raw)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@asynccontextmanager
async def says(header: bytes, body: bytes, status: int = 200, heard: list[bytes] | None = None) -> AsyncIterator[str]:
    """An outside system that says these bytes; `heard` gets what comes."""
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if heard is not None:
            heard.append(await reader.readexactly(int(length[1]) if length else 0))
        writer.write(b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n%b\r\n%b"
                     % (status, len(body), header, body))
        await writer.drain()
        writer.close()
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def call(url: str, **settings: Any) -> Json:
    return {"id": "call", "http": {"url": url, **settings}}


async def echoed(url: str, **settings: Any) -> Any:
    return await body_of(call(url, **settings), reply("{% steps.call.body %}"), trigger={"n": 7})


@pytest.mark.parametrize(("settings", "kind", "body"), [
    ({"body": {"n": "{% trigger.n %}"}}, "application/json", '{"n":7}'), ({"body": "plain"}, "text/plain", "plain"),
    ({"form": {"a": "{% trigger.n %}", "b": ["x", "y z"], "c": None}}, "application/x-www-form-urlencoded",
     "a=7&b=x&b=y+z"),
    ({"binary": base64.b64encode(b"\x00\xff").decode()}, "application/octet-stream", "\x00\xff"),
    ({"binary": "AAE=", "headers": {"Content-Type": "image/png"}}, "image/png", "\x00\x01")])
async def test_body_of_each_kind(base: str, settings: Json, kind: str, body: str) -> None:
    made = await echoed(f"{base}/echo", method="POST", **settings)
    assert (made["type"], made["body"]) == (kind, body)


async def test_text_says_how_it_is_written() -> None:
    async def hear(request: web.Request) -> web.Response:
        heard.extend([request.headers["content-type"], await request.read()])
        return web.Response()
    heard: list[Any] = []
    application = web.Application()
    application.router.add_post("/", hear)
    async with TestServer(application) as server:
        await body_of(call(str(server.make_url("/")), method="POST", body="café"), reply(1))
    assert heard == ["text/plain; charset=utf-8", "café".encode()]


async def test_query_takes_lists_and_leaves_out_null(base: str) -> None:
    made = await echoed(f"{base}/echo?a=0", query={"a": [1, 2], "b": None, "c": "{% trigger.n %}", "d": True})
    assert made["query"] == [["a", "0"], ["a", "1"], ["a", "2"], ["c", "7"], ["d", "true"]]


@pytest.mark.parametrize(("parse", "kind", "body"), [
    ("base64", "image/png", "/wB7"), ("text", "application/json", "\ufffd\x00{"),
    ("auto", "text/plain; charset=latin-1", "ÿ\x00{"),
    ("auto", "text/plain; charset=nonsense", "\ufffd\x00{")])
async def test_response_is_read_as_the_step_says(base: str, parse: str, kind: str, body: str) -> None:
    assert await echoed(f"{base}/raw", query={"type": kind}, parse=parse) == body


@pytest.mark.parametrize(("kind", "body"), [
    ("application/x-ndjson", '{"a":1}\n{"a":2}\n'), ("application/json-seq", "\x1e1\n")])
async def test_only_what_is_json_is_read_as_json(kind: str, body: str) -> None:
    async with says(f"Content-Type: {kind}\r\n".encode(), body.encode()) as url:
        assert await echoed(url) == body


async def test_json_that_is_none_says_so_whatever_its_type_has_in_it() -> None:
    async with says(b"Content-Type: application/x\xe9+json; charset=undefined\r\n", b"{") as url:
        error = await error_of(call(url), reply())
    assert (error.status, "is not JSON" in str(error), str(error).isprintable()) == (502, True, True)


async def test_header_in_latin_1_fails_nothing_and_one_that_comes_twice_is_whole() -> None:
    header = 'X-Name: café\r\nLink: <a>\r\nSet-Cookie: a=1\r\nLink: <b>\r\nSet-Cookie: b=2\r\n'.encode("latin-1")
    async with says(header, b"x") as url:
        found = await body_of(call(url), reply("{% steps.call.headers %}"))
    assert (found["x-name"], found["link"], found["set-cookie"]) == ("café", "<a>, <b>", ["a=1", "b=2"])


async def test_redirect_to_a_path_in_latin_1_is_followed_as_browsers_do(base: str) -> None:
    async with says(f"Location: {base}/echo?n=".encode() + b"\xe9\r\n", b"", status=302) as url:
        assert (await echoed(url))["query"] == [["n", "é"]]


@pytest.mark.parametrize(("status", "method", "arrives"), [
    (302, "POST", "GET"), (303, "PUT", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT"), (301, "GET", "GET"),
    (301, "POST", "GET"), (301, "PUT", "PUT"), (302, "DELETE", "DELETE"), (302, "PATCH", "PATCH"),
    (303, "DELETE", "GET")])
async def test_redirects_are_followed(base: str, status: int, method: str, arrives: str) -> None:
    made = await echoed(f"{base}/go/{status}", method=method, query={"to": "/echo"}, body={"n": 1},
                        headers={"Authorization": "mine"})
    assert (made["method"], made["secret"]) == (arrives, "mine")
    assert made["body"] == ("" if arrives != method else '{"n":1}')


async def test_redirects_end_where_the_step_says(base: str) -> None:
    to = {"to": f"{base}/go/302?to=/echo"}
    assert (await error_of(call(f"{base}/go/302", query=to, redirects=1), reply())).members["upstream_status"] == 302
    assert (await echoed(f"{base}/go/302", query=to, redirects=2))["method"] == "GET"


@pytest.mark.parametrize(("status", "header"), [
    (201, b"Location: /echo\r\n"), (304, b"Location: /echo\r\n"), (302, b"")])
async def test_what_leads_nowhere_is_no_redirect(status: int, header: bytes) -> None:
    heard: list[bytes] = []
    async with says(header, b"", status=status, heard=heard) as url:
        found = await body_of(call(url, expect=[status], parse="none"), reply("{% steps.call.status %}"))
    assert (found, len(heard)) == (status, 1)


@pytest.mark.parametrize("body", [gzip.compress(bytes(range(256)) * 4, 0) * 3, gzip.compress(b"x" * 1_001)],
                         ids=["before it is read", "once it is read"])
async def test_coded_body_is_bounded_before_and_after(body: bytes) -> None:
    async with says(b"Content-Encoding: gzip\r\n", body) as url:
        assert kind_of(await error_of(call(url), reply())) == "response-too-large"


async def test_secret_header_stays_with_its_host(base: str) -> None:
    other = base.replace("127.0.0.1", "localhost")
    made = await body_of(call(f"{base}/go/302", query={"to": f"{other}/echo"}, headers={"Authorization": "mine"}),
                         reply("{% steps.call.body %}"), allow=("127.0.0.0/8", "::1/128"))
    assert made["secret"] is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/",
                                 "http://[::ffff:127.0.0.1]:1/"])
async def test_private_address_is_refused_however_it_is_written(url: str) -> None:
    error = await error_of(call(url), reply(), allow=())
    assert error.members["error"] == "address-refused", error
    assert "127" not in str(error)


async def test_host_that_no_name_server_would_take_holds_up_nobody() -> None:
    began = time.process_time()
    error = await error_of(call("http://{% trigger.host %}/"), reply(), trigger={"host": "ü." * 300_000})
    assert time.process_time() - began < 0.8
    assert (error.status, "is not absolute" in str(error)) == (500, True)


@pytest.mark.parametrize("url", ["http://127.1:1/", "http://2130706433:1/", "http://0x7f000001:1/"])
async def test_number_that_stands_for_an_address_is_none(url: str) -> None:
    error = await error_of(call(url), reply(), allow=("127.0.0.0/8",))
    assert isinstance(error, WorkflowFailed | UpstreamFailed)
    assert "cannot be sent" in str(error) or "could not be reached" in str(error)


async def test_proxy_with_a_private_address_is_refused(base: str) -> None:
    error = await error_of(call("http://outside.example/echo", proxy=base), reply(), allow=())
    assert error.members["error"] == "address-refused"


@pytest.mark.parametrize("url", ["ftp://ada:pin-4711@h.example/?key=pin-4711", "http://ada:pin-4711@127.1/?key=pin-4711",
                                 "http://ada:pin-4711@127.0.0.1:1/?key=pin-4711#pin-4711", "//pin-4711", "pin-4711"])
async def test_secret_in_a_url_is_in_no_error_log_or_span(url: str, caplog: pytest.LogCaptureFixture) -> None:
    traced: list[Span] = []
    error = await error_of(call(url), reply(), traced=traced)
    assert "pin-4711" not in str(error) + str(error.members) + caplog.text
    assert b"call" in export_request(traced)
    assert b"pin-4711" not in export_request(traced)


async def test_redirect_to_a_private_address_is_refused(base: str) -> None:
    for to in ("http://127.0.0.2:1/", "http://169.254.169.254/latest/meta-data"):
        error = await error_of(call(f"{base}/go/302", query={"to": to}), reply(), allow=("127.0.0.1/32",))
        assert error.members["error"] == "address-refused"


async def test_redirect_away_from_http_is_not_followed(base: str) -> None:
    error = await error_of(call(f"{base}/go/302", query={"to": "ftp://h.example/x"}), reply())
    assert "cannot be sent" in str(error)


@pytest.mark.parametrize(("status", "method", "url", "to", "refused"), [
    (307, "POST", "https://a.example/x", "http://a.example/y", True),
    (308, "PUT", "https://a.example", "http://b.example", True),
    (302, "PATCH", "https://a.example/x", "http://a.example/y", True),
    (303, "POST", "https://a.example/x", "http://a.example/y", False),
    (301, "POST", "https://a.example/x", "http://a.example/y", False),
    (307, "POST", "https://a.example/x", "/y", False),
    (307, "POST", "https://a.example/x", "//b.example/y", False), (307, "POST", "http://a.example/x", "/y", False),
    (307, "POST", "http://a.example/x", "https://a.example/y", False),
    (307, "DELETE", "https://a.example/x", "http://a.example/y", False)])
def test_redirect_takes_no_body_from_https_to_http(status: int, method: str, url: str, to: str, refused: bool) -> None:
    request = Request(method=method, url=URL(url), headers={}, body=None if method == "DELETE" else b"x")
    if not refused:
        assert request.redirected(status, to).url.path == "/y"
        return
    with pytest.raises(UpstreamFailed, match="redirects: 0") as raised:
        request.redirected(status, to)
    assert (kind_of(raised.value), status_of(raised.value)) == ("redirect-refused", status)


@pytest.mark.parametrize(("to", "kept"), [
    ("https://a.example:443/y", True), ("https://A.example/y", True), ("/y", True), ("https://a.example:444/y", False),
    ("http://a.example/y", False), ("http://a.example:443/y", False), ("https://a.example@b.example/y", False),
    ("https://a.example.b.example/y", False)])
def test_host_with_its_usual_port_is_the_same_host(to: str, kept: bool) -> None:
    made = Request(method="GET", url=URL("https://a.example/x"), headers={"authorization": "mine"}).redirected(302, to)
    assert ("authorization" in made.headers) is kept


@pytest.mark.parametrize(("status", "to", "kept"), [
    (307, "/y", ["Accept", "content-type", "content-language", "traceparent", "baggage", "idempotency-key"]),
    (303, "/y", ["Accept", "traceparent", "baggage", "idempotency-key"]),
    (307, "https://b.example/y", ["Accept", "content-type", "traceparent"]),
    (303, "https://b.example/y", ["Accept", "traceparent"])])
def test_another_host_hears_what_harms_nobody_and_a_call_without_a_body_tells_of_none(
        status: int, to: str, kept: list[str]) -> None:
    names = ["Accept", "content-type", "content-language", "traceparent", "baggage", "idempotency-key"]
    made = Request(method="POST", url=URL("https://a.example/x"), headers=dict.fromkeys(names, "1"), body=b"x")
    assert [*made.redirected(status, to).headers] == kept


@pytest.mark.parametrize(("to", "kept"), [
    ("https://a.example/y", "ada:s%2Ft"), ("/y", "ada:s%2Ft"), ("https://b.example/y", ""), ("http://a.example/y", ""),
    ("https://eve@a.example/y", "eve")])
def test_name_and_password_of_a_url_stay_with_their_host(to: str, kept: str) -> None:
    made = Request(method="GET", url=URL("https://ada:s%2Ft@a.example/x"), headers={}).redirected(302, to)
    assert made.url.raw_authority.rpartition("@")[0] == kept


async def test_owner_header_replaces_ours_however_it_is_spelled(base: str) -> None:
    made = await echoed(f"{base}/echo", method="POST", body={"n": 1}, headers={"CONTENT-TYPE": "application/x-own"})
    assert made["type"] == "application/x-own"


@pytest.mark.parametrize(("text", "arrives"), [
    ("{% trigger.n %}", "7"), ("{% trigger.none %}", None), ("a{% trigger.none %}", "a"), ("", "")])
async def test_header_that_is_null_is_not_sent(base: str, text: str, arrives: str | None) -> None:
    assert (await echoed(f"{base}/echo", headers={"X-Own": text}))["own"] == arrives


@pytest.mark.parametrize(("name", "value"), [
    ("Content-Length", "3"), ("content-length", "900"), ("Transfer-Encoding", "chunked"), ("TRANSFER-ENCODING", "x")])
async def test_where_a_body_ends_is_not_the_owners_to_say(base: str, name: str, value: str) -> None:
    made = await echoed(f"{base}/echo", method="POST", headers={name: value}, body="0\r\n\r\nGET / HTTP/1.1")
    assert (made["body"], made["framing"]) == ("0\r\n\r\nGET / HTTP/1.1", ["19", None])


@pytest.mark.parametrize(("said", "waits_ms"), [
    ("7", 7_000), ("9" * 40, 30 * 86_400_000), ("Thu, 01 Jan 1970 00:01:40 GMT", 40_000),
    ("Thu, 01 Jan 1970 02:01:40 +0200", 40_000), ("Thu, 01 Jan 1970 00:01:40 -0000", 40_000),
    ("Thu, 01 Jan 1970 00:00:40 GMT", 0), ("7, 9", 7_000), ("soon", None), ("", None), ("-1", None), ("\u0662", None),
    ("Wed, 21 Oct 99999999999999999999999 07:28:00 GMT", None),
    ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", None)])
def test_time_to_wait_is_said_in_seconds_or_as_a_date(said: str, waits_ms: int | None) -> None:
    for name in ("retry-after", "Retry-After"):
        assert asked_to_wait({"a": "1", name: said}, 60_000) == (
            {} if waits_ms is None else {"retry_after_ms": waits_ms})


def test_nobody_waits_who_was_not_asked_to() -> None:
    assert asked_to_wait({"date": "7"}, 60_000) == {}


@pytest.mark.parametrize(("answer", "says"), [
    (b"", "closed the connection before it answered; it may have done"), (b"220 mail ready\r\n", "cannot be read"),
    (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nx", "(200) is coded as br, which was not asked for"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "is cut off"),
    (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnonsense", "not coded as it says"),
    (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"id;name\n" * 99, mtime=0)[:-20],
     "(200) is cut off"),
    (b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", "the proxy answered 407")])
async def test_system_that_was_asked_is_not_said_to_be_out_of_reach(answer: bytes, says: str) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        through_it = {"url": "https://outside.example/", "proxy": url} if b"407" in answer else {"url": url}
        error = await error_of(call(**through_it, method="POST"), reply())
    assert (kind_of(error), says in str(error)) == ("upstream-failed", True), error
    assert "could not be reached" in str(await error_of(call("http://127.0.0.1:1/"), reply()))


async def test_call_says_that_weir_makes_it_unless_its_owner_says_who(base: str) -> None:
    assert (await echoed(f"{base}/echo"))["agent"].startswith("Weir/")
    assert (await echoed(f"{base}/echo", headers={"user-agent": "shop"}))["agent"] == "shop"


async def test_two_users_of_one_call_are_said_to_be_two(base: str) -> None:
    url = base.replace("//", "//ada:secret@")
    error = await error_of(call(f"{url}/echo", headers={"authorization": "Bearer x"}), reply())
    assert "names a user, and an Authorization header" in str(error)
    assert "secret" not in str(error)
    assert (await echoed(f"{url}/echo"))["secret"] == "Basic " + base64.b64encode(b"ada:secret").decode()


async def test_header_that_cannot_be_sent_is_the_workflows_fault(base: str) -> None:
    error = await error_of(call(f"{base}/echo", headers={"x-a": "a\r\nb: c"}), reply())
    assert (error.status, error.members["step"]) == (500, "call")
    assert "cannot be sent" in str(error)


async def test_multipart_carries_texts_and_files(base: str) -> None:
    found = await body_of(call(f"{base}/form", method="POST", multipart={
        "title": "ü", "tags": ["a", "b"], "none": None,
        "file": {"filename": "x.csv", "type": "text/csv", "text": "a,b"},
        "raw": {"filename": "r", "base64": base64.b64encode(b"\xff").decode()}, "data": {"a": [1]}}),
                          reply("{% steps.call.body %}"))
    assert found.pop() == ["data", None, '{"a":[1]}']
    assert found == [["title", None, "ü"], ["tags", None, "a"], ["tags", None, "b"], ["file", "x.csv", "text/csv a,b"],
                     ["raw", "r", "application/octet-stream ÿ"]]
    error = await error_of(call(f"{base}/form", method="POST", multipart={"x": {"base64": "!"}}), reply(1))
    assert "multipart.x.base64" in str(error)
    for part in ({"type": "a\r\nb: c", "text": "x"}, {"type": "text/plain; charset=\r", "text": "x"}):
        error = await error_of(call(f"{base}/form", method="POST", multipart={"x": part}), reply(1))
        assert "multipart" in str(error)


async def test_multipart_that_a_caller_has_made_of_many_parts_holds_up_nobody() -> None:
    began = time.process_time()
    error = await error_of(call("http://127.0.0.1:1/", method="POST", multipart={"tags": "{% trigger.tags %}", "a": 1}),
                           reply(1), trigger={"tags": ["x"] * 200_000})
    assert time.process_time() - began < 1
    assert "has 200001 parts, and may have 10000" in str(error)


async def test_multipart_says_names_as_they_are_and_none_with_control_characters() -> None:
    heard: list[bytes] = []
    async with says(b"", b"", heard=heard) as url:
        await body_of(call(url, method="POST", multipart={
            'né"m': "x", "file": {"filename": "mein é.pdf", "text": ""}}), reply(1))
        assert b'form-data; name="n\xc3\xa9\\"m"\r\n' in heard[0]
        assert b'form-data; name="file"; filename="mein \xc3\xa9.pdf"\r\n' in heard[0]
        for parts in ({"a\r\nb": "x"}, {"file": {"filename": "a\nb", "text": ""}}):
            error = await error_of(call(url, method="POST", multipart=parts), reply(1))
            assert "multipart" in str(error)
    assert len(heard) == 1


@pytest.mark.parametrize(("expect", "status", "fails"), [
    (["2xx"], 204, False), (["2xx", 404], 404, False), (["4xx"], 404, False), (["4xx"], 200, True), ([404], 200, True)])
async def test_expected_statuses_are_single_ones_or_classes(base: str, expect: list[Any], status: int,
                                                            fails: bool) -> None:
    steps = call(f"{base}/say/{status}", expect=expect, parse="none"), reply("{% steps.call %}")
    if fails:
        assert isinstance(await error_of(*steps), UpstreamFailed)
    else:
        found = await body_of(*steps)
        assert (found["status"], found["body"]) == (status, None)


async def test_call_goes_through_a_proxy(base: str) -> None:
    # a proxy is asked for the whole URL
    found = await body_of(call("http://nowhere.example/echo", proxy=base), reply("{% steps.call.body %}"))
    assert found["method"] == "GET"


def certificate(folder: Path) -> Path:
    """A certificate for localhost that signs itself, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
    made = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    (folder / "both.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "both.pem"


async def test_outside_system_has_to_prove_who_it_is(tmp_path: Path) -> None:
    async def hello(_: web.Request) -> web.Response:
        return web.json_response("hello")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(tmp_path))
    application = web.Application()
    application.router.add_get("/", hello)
    server = TestServer(application, host="localhost", scheme="https")
    await server.start_server(ssl=context)
    url, answer = f"https://localhost:{server.port}/", reply("{% steps.call.body %}")
    allow = ("127.0.0.0/8", "::1/128")
    try:
        assert isinstance((await perform([call(url), answer], allow=allow))[0], UpstreamFailed)
        for tls in ({"ca": (tmp_path / "ca.pem").read_text()}, {"verify": False, "minimum": "1.3"}):
            found, _ = await perform([call(url, tls=tls), answer], allow=allow)
            assert found.body == b'"hello"'
    finally:
        await server.close()
    with pytest.raises(ValidationError, match="no certificate in PEM"):
        HttpSettings.model_validate({"url": "https://x", "tls": {"ca": "none"}})


def test_certificates_of_the_machine_are_read_by_whoever_calls_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    make = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda **more: read.append(more) or make(**more))
    steps = [Tls.model_validate({"minimum": "1.3"}) for _ in range(2)]
    assert read == []
    assert steps[0].context() is steps[1].context()
    assert len(read) <= 1
