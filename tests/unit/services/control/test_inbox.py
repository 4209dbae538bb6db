"""The door of the admin API: what comes in a form that nobody can read is refused, and its words are in no log."""

import asyncio
import logging
from types import SimpleNamespace
from typing import cast

import pytest

from services.control.api import Call, Desk, Result, Route
from services.control.inbox import AdminDoor
from services.control.resources.access import Question
from services.control.wire import AdminServer
from shared.runtime.health import Health
from shared.telemetry.metrics import Metrics
from tests.support.calls import NOW
from tests.support.fakes import StoppedClock


async def take(_: Call) -> Result:
    return Result({})


@pytest.mark.parametrize("header", [b"Content-Encoding: gzip", b"X-Admin : secret"])
async def test_body_and_head_that_nobody_can_read_are_problems(caplog: pytest.LogCaptureFixture, header: bytes) -> None:
    caplog.set_level(logging.DEBUG)
    desk = cast(Desk, SimpleNamespace(clock=StoppedClock(NOW)))
    door = AdminDoor(desk, Health("control", Metrics()), [
        Route(method="POST", path="/x", summary="x", handler=take, body=Question)], "t")
    server = AdminServer(door.application, "127.0.0.1", 0)
    await server.start()
    told = await say(server._runner.addresses[0][1], b"POST /v1/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n"
                     b"Content-Length: 6\r\n" + header + b"\r\n\r\nsecret")
    await server.stop()
    assert told.split(b"\r\n")[0].endswith(b" 400 Bad Request")
    assert b"Content-Type: application/problem+json" in told
    assert b'"code":"input-invalid"' in told
    assert b"secret" not in told
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text


async def say(port: int, message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer
