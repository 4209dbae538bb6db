"""Whose answer is whose, whatever happens to those who asked."""

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.store.connection import Connection, NoScript, Refused

TIMEOUT_S = 0.04


class Line(asyncio.Transport):
    """What was written; nothing comes back but what a test feeds."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(data)

    def abort(self) -> None:
        pass


def connected(silent_s: float = 60) -> tuple[Connection, Line]:
    made, line = Connection(TIMEOUT_S, silent_s), Line()
    made.connection_made(line)
    return made, line


answers = st.one_of(st.integers(-5, 5), st.binary(max_size=40), st.none(), st.lists(st.integers(0, 3), max_size=3))


def wire(answer: Any) -> bytes:
    if answer is None:
        return b"_\r\n"
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    if isinstance(answer, bytes):
        return b"$%d\r\n%s\r\n" % (len(answer), answer)
    return b"*%d\r\n%s" % (len(answer), b"".join(map(wire, answer)))


@given(st.lists(st.tuples(st.lists(answers, min_size=1, max_size=3), st.booleans()), max_size=12),
       st.lists(st.floats(0, 1), max_size=6))
async def test_answers_go_to_those_who_asked_in_whatever_pieces_they_come(
        asked: list[tuple[list[Any], bool]], parts: list[float]) -> None:
    connection, line = connected()
    waiting = [connection.ask([("GET", "k")] * len(found)) for found, _ in asked]
    assert len(line.written) == len(asked)
    stream = b"".join(wire(answer) for found, _ in asked for answer in found)
    cuts = sorted(int(part * len(stream)) for part in parts)
    gone = [one for one, (_, leaves) in zip(waiting, asked, strict=True) if leaves]
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        connection.data_received(stream[start:end])
        if gone:
            gone.pop().cancel()
    assert all(one.done() for one in waiting)
    for one, (found, _) in zip(waiting, asked, strict=True):
        assert one.cancelled() or one.result() == found
    connection.connection_lost(None)


async def test_whoever_waits_too_long_hears_so_and_its_answer_is_nobody_elses() -> None:
    connection, _ = connected()
    late = connection.ask([("GET", "a")])
    await asyncio.sleep(TIMEOUT_S * 0.7)
    later = connection.ask([("GET", "b")])
    with pytest.raises(TimeoutError, match=r"no answer within 0\.04 s"):
        await late
    assert not later.done()
    connection.data_received(b"+a\r\n+b\r\n")
    assert await later == [b"b"]
    connection.connection_lost(None)


async def test_process_that_was_busy_itself_has_not_waited() -> None:
    connection, _ = connected()
    asked = connection.ask([("GET", "a")])
    asyncio.get_running_loop().call_later(TIMEOUT_S / 8, time.sleep, TIMEOUT_S * 3)
    await asyncio.sleep(TIMEOUT_S / 2)
    assert not asked.done()
    connection.data_received(b"+a\r\n")
    assert await asked == [b"a"]
    connection.connection_lost(None)


async def test_store_that_says_nothing_at_all_is_given_up() -> None:
    connection, _ = connected(silent_s=TIMEOUT_S * 2)
    first = connection.ask([("GET", "a")])
    with pytest.raises(TimeoutError):
        await first
    younger = connection.ask([("GET", "b")])
    await asyncio.sleep(TIMEOUT_S * 1.5)
    assert connection.lost
    with pytest.raises((ConnectionError, TimeoutError)):
        await younger
    with pytest.raises(ConnectionError):
        await connection.ask([("GET", "c")])


async def test_quiet_connection_is_kept() -> None:
    connection, _ = connected(silent_s=TIMEOUT_S)
    asked = connection.ask([("GET", "a")])
    connection.data_received(b"+a\r\n")
    assert await asked == [b"a"]
    await asyncio.sleep(TIMEOUT_S * 3)
    asked = connection.ask([("GET", "b")])
    await asyncio.sleep(TIMEOUT_S * 0.5)
    connection.data_received(b"+b\r\n")
    assert await asked == [b"b"]
    connection.connection_lost(None)


async def test_connection_that_ends_ends_the_wait_of_all() -> None:
    connection, _ = connected()
    waiting = [connection.ask([("GET", str(number))] * 2) for number in range(3)]
    waiting[1].cancel()
    connection.data_received(b"+a\r\n+b\r\n+half")
    connection.connection_lost(None)
    assert await waiting[0] == [b"a", b"b"]
    with pytest.raises(ConnectionError):
        await waiting[2]


@pytest.mark.parametrize("said", [b"+a\r\n+nobody asked\r\n", b"HTTP/1.1 400 Bad Request\r\n"])
async def test_what_is_no_answer_ends_the_connection(said: bytes) -> None:
    connection, _ = connected()
    await asyncio.sleep(0)
    asked = connection.ask([("GET", "a")])
    connection.data_received(said)
    assert connection.lost
    await asyncio.gather(asked, return_exceptions=True)
    assert asked.exception() is not None or asked.result() == [b"a"]


async def test_what_the_store_refuses_before_anybody_has_asked_is_told_to_whoever_asks_then() -> None:
    connection, _ = connected()
    connection.data_received(b"-ERR max number of clients reached\r\n")
    connection.connection_lost(None)
    with pytest.raises(ConnectionError, match="max number of clients"):
        await connection.ask([("GET", "a")])


async def test_errors_are_among_the_answers() -> None:
    connection, _ = connected()
    asked = connection.ask([("GET", "a"), ("GET", "b"), ("GET", "c")])
    connection.data_received(b"-WRONGTYPE not a string\r\n+b\r\n-NOSCRIPT No matching script.\r\n")
    first, second, third = await asked
    assert (type(first), str(first), second, type(third)) == (Refused, "WRONGTYPE not a string", b"b", NoScript)
    connection.connection_lost(None)
