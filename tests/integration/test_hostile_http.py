"""Requests over a raw connection that no HTTP library would send: each gets an answer that says whose fault it is."""

import asyncio
import gzip
import json
import zlib

import pytest

from tests.support.platform import PROJECT, Platform


async def speak(platform: Platform, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to raw bytes."""
    host, port = platform.ingress.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    raw = await asyncio.wait_for(reader.read(), 15)
    writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def get(platform: Platform, target: bytes, *lines: bytes, method: bytes = b"GET", body: bytes = b"") -> bytes:
    head = [method + b" " + target + b" HTTP/1.1", b"Host: x", b"Connection: close",
            b"Authorization: Bearer " + platform.demo_token.encode(), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@pytest.mark.parametrize(("target", "statuses"), [
    (b"/employees/\xff\xfe", {400, 404}), (b"/employees?limit=\xff", {400}),
    (b"/employees?department=\xed\xa0\x80", {200, 400}),
    (b"/employees?department=%ff%00", {200, 400}), (b"/employees/%ff", {400}), (b"/employees/%00", {400}),
    (b"/employees/e-100%2F..", {400}), (b"//employees", {404}), (b"/employees?limit=1e999", {400}),
    (b"/employees?limit=" + b"9" * 5_000, {400}),
    (b"/employees?" + b"a=b&" * 1_500, {200, 400}), (b"/" + b"x/" * 3_000, {404})],
    ids=["bytes in the path", "bytes in the query", "surrogate", "encoded bytes", "encoded byte in the path", "zero",
         "encoded slash", "empty segment", "infinite number", "endless number",
         "many parameters", "deep path"])
async def test_odd_url_is_the_callers_fault_and_never_an_inner_error(
        platform: Platform, target: bytes, statuses: set[int]) -> None:
    status, body = await speak(platform, get(platform, b"/" + PROJECT.encode() + target))
    assert status in statuses, body


async def test_headers_as_large_as_the_edge_takes_them_with_a_large_body_are_answered(platform: Platform) -> None:
    body = json.dumps({"name": "x" * 890_000}).encode()
    filler = [b"x-filler-%d: " % number + b"f" * 8_000 for number in range(25)]
    status, answer = await speak(platform, get(
        platform, b"/" + PROJECT.encode() + b"/employees", *filler, b"Content-Type: application/json",
        b"Content-Length: %d" % len(body), method=b"POST", body=body))
    assert status in {400, 413, 431}, answer


@pytest.mark.parametrize("line", [
    b"traceparent: \xff", b"tracestate: \xff\xfe", b"Idempotency-Key: \xff", b"Content-Type: \xff/\xfe",
    b"Authorization: Bearer \xff", b"X-Odd: \xff", b"Accept: a\r\nAccept: b", b"Traceparent: 00-" + b"0" * 52],
    ids=lambda line: line[:12].decode("latin-1"))
async def test_odd_header_does_not_break_a_call(platform: Platform, line: bytes) -> None:
    status, body = await speak(platform, get(platform, f"/{PROJECT}/employees?limit=1".encode(), line))
    assert status in {200, 400, 401}, body


BIG = gzip.compress(b"{" + b" " * 5_000_000 + b"}")


async def wire(platform: Platform) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = platform.ingress.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


def post(platform: Platform, *lines: bytes, path: bytes = b"/employees", body: bytes = b"") -> bytes:
    return get(platform, b"/" + PROJECT.encode() + path, *lines, method=b"POST", body=body).replace(
        b"Connection: close\r\n", b"")


async def test_caller_that_waits_for_a_word_before_it_sends_its_body_gets_it(platform: Platform) -> None:
    reader, writer = await wire(platform)
    writer.write(post(platform, b"Expect: 100-continue", b"Content-Type: application/json", b"Content-Length: 2"))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.parametrize(("path", "length", "status"), [
    (b"/employees", b"2000000", 413), (b"/nobody", b"2", 404)], ids=["large", "no path"])
async def test_refusal_does_not_wait_for_a_body_that_may_never_come(
        platform: Platform, path: bytes, length: bytes, status: int) -> None:
    reader, writer = await wire(platform)
    writer.write(post(platform, b"Expect: 100-continue", b"Content-Length: " + length, path=path))
    answer = await asyncio.wait_for(reader.read(), 3)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in answer


async def test_body_that_is_large_once_decoded_is_refused(platform: Platform) -> None:
    reader, writer = await wire(platform)
    writer.write(post(platform, b"Content-Encoding: gzip", b"Content-Length: %d" % len(BIG), body=BIG))
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(("coding", "status"), [
    (b"br, gzip", 415), (b"x-gzip", 415), (b"none", 415), (b"identity", 400), (b"GZIP", 400), (b"deflate", 400)])
async def test_body_in_a_coding_that_nobody_can_decode_is_not_taken_for_what_it_is_not(
        platform: Platform, coding: bytes, status: int) -> None:
    body = {b"GZIP": gzip.compress(b"{}"), b"deflate": zlib.compress(b"{}")}.get(coding, b"{}")
    reader, writer = await wire(platform)
    writer.write(post(platform, b"Content-Encoding: " + coding, b"Content-Type: application/json",
                      b"Content-Length: %d" % len(body), body=body))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.close()
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert (b"\r\nAccept-Encoding: gzip, deflate\r\n" in head) == (status == 415)


async def test_target_may_be_a_whole_address(platform: Platform) -> None:
    whole = f"http://anybody.example:81/{PROJECT}/employees?limit=1".encode()
    status, body = await speak(platform, get(platform, whole))
    assert status == 200, body
    assert (await speak(platform, get(platform, b"http://anybody.example")))[0] == 404
