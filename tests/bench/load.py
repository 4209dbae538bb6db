"""The load: keep-alive connections, one request in flight on each; in a closed loop, or at a fixed rate.

Run as a process of its own: `python -m tests.bench.load URL CONNECTIONS SECONDS RATE METHOD BODY HEADER...`; prints
JSON. `--warm S` loads for so long before, which does not count; `--marks` prints the words `begin` and `end` when the
time that counts begins and ends.

RATE 0 is a closed loop: each answer is followed by the next request at once. Otherwise so many requests a second are
due, evenly spaced, whatever the answers take. One that finds no free connection waits in line, and its time counts
from when it was due: a server that stalls meets all the requests that it has kept waiting.
"""

import argparse
import asyncio
import json
import resource
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import uvloop

from tests.bench.tally import Tally, at

# whoever has no answer so long after the end is told as unanswered
DRAIN_S = 10.0
# requests that are due closer to each other are sent together: waking up for each would cost more than sending it
_TICK_S = 0.000_25


class Connection(asyncio.Protocol):
    """One request in flight at the most. `since`: when it was due; None while there is none."""

    def __init__(self, request: bytes, answered: Callable[["Connection", int], None]) -> None:
        self._request, self._answered = request, answered
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes
        self._transport = cast(asyncio.Transport, transport)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def send(self, since: float) -> None:
        assert self._transport is not None
        self.since = since
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        start = head.lower().find(b"content-length:")
        length = int(head[start + 15:].split(b"\r\n", 1)[0]) if start >= 0 else 0
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._answered(self, int(head[9:12]))


class Pace(Protocol):
    """Decides when which connection sends."""

    def start(self, connections: list[Connection]) -> None:
        """Begin."""

    def answered(self, connection: Connection, status: int) -> None:
        """What an answer leads to."""

    def in_line(self) -> Iterable[float]:
        """Since when those wait that have no connection."""


class Closed:
    """The next request follows each answer, until the end."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def start(self, connections: list[Connection]) -> None:
        for connection in connections:
            connection.send(time.perf_counter())

    def answered(self, connection: Connection, status: int) -> None:
        assert connection.since is not None
        self._tally.note(status, connection.since)
        now = time.perf_counter()
        if now < self._tally.end:
            connection.send(now)
        else:
            connection.since = None

    def in_line(self) -> Iterable[float]:
        return ()


class Arrivals:
    """Requests are due at a fixed rate, until the end; the line of those that found no free connection."""

    def __init__(self, tally: Tally, rate: float, first: float) -> None:
        self._tally, self._rate, self._first, self._made = tally, rate, first, 0
        self._line: deque[float] = deque()
        self._free: list[Connection] = []
        # how late this process itself was, in seconds
        self.late: list[float] = []

    def start(self, connections: list[Connection]) -> None:
        self._free = list(connections)
        # timers of event loops are due at whole milliseconds, alarms are not
        asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, self._wake)
        self._wake()

    def answered(self, connection: Connection, status: int) -> None:
        assert connection.since is not None
        self._tally.note(status, connection.since)
        if self._line:
            connection.send(self._line.popleft())
        else:
            connection.since = None
            self._free.append(connection)

    def in_line(self) -> Iterable[float]:
        return self._line

    def _wake(self) -> None:
        now = time.perf_counter()
        while (due := self._next()) <= now and due < self._tally.end:
            self._made += 1
            self.late.append(now - due)
            connection = self._take()
            if connection is not None:
                connection.send(due)
            else:
                self._line.append(due)
        if due < self._tally.end:
            signal.setitimer(signal.ITIMER_REAL, max(_TICK_S, due - time.perf_counter()))

    def _next(self) -> float:
        return self._first + self._made / self._rate

    def _take(self) -> Connection | None:
        while self._free:
            connection = self._free.pop()
            if connection.is_open:
                return connection
        return None


async def drive(options: argparse.Namespace) -> dict[str, Any]:
    """Load, and say what came of it; latencies in ms."""
    parts, loop = urlsplit(options.url), asyncio.get_running_loop()
    request = request_bytes(options.url, options.method, options.body.encode(), options.headers)
    tally = Tally(0.0, 0.0)
    pace: Pace = Closed(tally)

    def answered(connection: Connection, status: int) -> None:
        pace.answered(connection, status)
    made = [(await loop.create_connection(partial(Connection, request, answered), parts.hostname, parts.port))[1]
            for _ in range(options.connections)]
    first = time.perf_counter()
    tally.begin = first + options.warm
    tally.end = tally.begin + options.seconds
    if options.rate:
        pace = Arrivals(tally, options.rate, first)
    pace.start(made)
    await until(tally.begin, "begin" if options.marks else "")
    began_s = time.process_time()
    await until(tally.end, "end" if options.marks else "")
    used_s = time.process_time() - began_s
    while (busy := [one.since for one in made if one.since is not None and one.is_open]) or [*pace.in_line()]:
        if time.perf_counter() > tally.end + DRAIN_S:
            break
        await asyncio.sleep(0.01)
    lost = [one.since for one in made if one.since is not None and not one.is_open]
    found = tally.summary([*busy, *lost, *pace.in_line()], time.perf_counter())
    for one in made:
        one.close()
    late = sorted(pace.late) if isinstance(pace, Arrivals) else []
    return {**found, "lost": len(lost), "load_cpu": used_s / options.seconds,
            "load_late_p99": at(late, 0.99) * 1000 if late else 0.0}


async def until(when: float, mark: str) -> None:
    """Sleep; then say so, where anybody wants to know."""
    await asyncio.sleep(max(0.0, when - time.perf_counter()))
    if mark:
        print(mark, flush=True)


def request_bytes(url: str, method: str, body: bytes, headers: list[str]) -> bytes:
    """The request as it goes over the wire."""
    parts = urlsplit(url)
    lines = [f"{method} {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}",
             *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def main() -> None:
    """One load."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.load", description=__doc__)
    arguments.add_argument("--warm", type=float, default=0.0)
    arguments.add_argument("--marks", action="store_true")
    arguments.add_argument("url")
    arguments.add_argument("connections", type=int)
    arguments.add_argument("seconds", type=float)
    arguments.add_argument("rate", type=float)
    arguments.add_argument("method")
    arguments.add_argument("body")
    arguments.add_argument("headers", nargs="*")
    options = arguments.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(json.dumps(uvloop.run(drive(options))), flush=True)


if __name__ == "__main__":
    main()
