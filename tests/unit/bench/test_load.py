"""A server that stalls: an open loop meets all whom it has kept waiting, a closed loop hardly notices."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.bench import drive

RATE, SECONDS, CONNECTIONS = 200, 1.5, 4
BEFORE_S, STALL_S = 0.3, 0.9
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def stalling() -> AsyncIterator[str]:
    """Answers at once, but for a time that begins soon after its first request."""
    loop = asyncio.get_running_loop()
    first: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                first.append(loop.time())
                since = loop.time() - first[0]
                if BEFORE_S <= since < BEFORE_S + STALL_S:
                    await asyncio.sleep(BEFORE_S + STALL_S - since)
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    await server.wait_closed()


async def load(url: str, rate: float) -> dict[str, Any]:
    return await asyncio.to_thread(drive.drive_url, url, [], CONNECTIONS, SECONDS, rate)


async def test_open_loop_times_a_stall_from_when_requests_were_due(stalling: str) -> None:
    found = await load(stalling, RATE)
    assert (found["of"][200]["count"], found["unanswered"], found["lost"]) == (RATE * SECONDS, 0, 0)
    # six of ten requests were due in the stall: the first one waited for all of it, the last one hardly
    assert found["p50"] > 100
    assert found["p99"] > STALL_S * 1000 * 0.9
    assert found["statuses"][200] == pytest.approx(RATE * SECONDS, abs=RATE * 0.1)


async def test_closed_loop_asks_no_more_while_a_server_stalls(stalling: str) -> None:
    found = await load(stalling, 0)
    # four connections waited once each, among some thousand answers
    assert found["answers"] > 1_000
    assert found["p99"] < 100


async def test_warm_up_does_not_count_and_marks_tell_what_does(stalling: str) -> None:
    marks: list[str] = []
    command = drive.load(stalling, [], CONNECTIONS, 0.3, RATE)
    found = await asyncio.to_thread(drive.run, command, 1.4, marks.append)
    assert marks == ["begin", "end"]
    # the stall was over when counting began
    assert found["of"][200]["count"] == pytest.approx(RATE * 0.3, abs=RATE * 0.05)
    assert found["total"] == pytest.approx(RATE * 1.7, abs=RATE * 0.05)
    assert found["p99"] < 100


async def test_load_that_cannot_connect_is_an_error_and_no_result() -> None:
    with pytest.raises(RuntimeError, match="no result"):
        await asyncio.to_thread(drive.drive_url, "http://127.0.0.1:1/", [], 1, 0.1)
