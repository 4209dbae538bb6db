"""Connections to systems that nobody vouches for."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from socket import SO_LINGER, SOL_SOCKET

import pytest
from aiohttp import ClientPayloadError, ClientResponseError, ClientSession

from shared.runtime.addresses import Addresses
from shared.runtime.guarded import connector

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def speaks(conversation: Conversation) -> AsyncIterator[tuple[ClientSession, str]]:
    """Somebody who speaks so over each connection."""
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await conversation(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server, ClientSession(connector=connector(Addresses(("127.0.0.0/8",)))) as session:
        yield session, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def test_answer_that_nobody_has_asked_for_is_not_taken_for_that_of_the_next_request() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"first"))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(answer(b"nobody's"))
        await reader.read()

    async with speaks(hasty) as (session, url):
        for _ in range(2):
            async with session.post(url) as response:
                assert await response.read() == b"first"
            await asyncio.sleep(0.15)


@pytest.mark.parametrize(("interim", "fails"), [(300, False), (501, True)])
async def test_answers_before_the_answer_are_read_but_not_without_end(interim: int, fails: bool) -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * interim)
        await writer.drain()
        if not fails:
            writer.write(answer(b"done"))
        await reader.read()

    async with speaks(early) as (session, url), asyncio.timeout(5):
        if not fails:
            async with session.post(url) as response:
                assert await response.read() == b"done"
            return
        with pytest.raises(ClientResponseError, match="more than 500 answers"):
            await session.post(url)


@pytest.mark.parametrize("reset", [False, True])
async def test_body_that_ends_with_its_connection_is_whole_unless_that_was_reset(reset: bool) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nid;name\n1;ro")
        await writer.drain()
        await asyncio.sleep(0.1)
        if reset:
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async with speaks(cut) as (session, url):
        with pytest.raises(ClientPayloadError) if reset else nullcontext():
            async with session.post(url) as response:
                assert await response.read() == b"id;name\n1;ro"
