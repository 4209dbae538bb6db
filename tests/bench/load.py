"""A small HTTP load generator: keep-alive connections, one request in flight on each.

Run as a process of its own: `python -m tests.bench.load URL CONNECTIONS SECONDS RATE METHOD BODY HEADER...`; prints
JSON. RATE 0 is a closed loop: each answer is followed by the next request at once. Otherwise so many requests a second
go out, evenly spaced, whatever the answers take, as long as a connection is free.
"""

import asyncio
import json
import sys
import time
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import uvloop


class Connection(asyncio.Protocol):
    """Sends the same request again and again, and notes how long each answer took. `every_s`: 0 is at once."""

    def __init__(self, request: bytes, latencies: list[float], statuses: dict[int, int], first_s: float,
                 every_s: float) -> None:
        self.request, self.latencies, self.statuses = request, latencies, statuses
        self.due, self.every_s = first_s, every_s
        self.buffer = b""
        self.sent = 0.0
        self.over = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes
        self.transport = cast(asyncio.Transport, transport)
        self.send_in_time()

    def send_in_time(self) -> None:
        self.due += self.every_s
        asyncio.get_running_loop().call_later(max(0.0, self.due - time.perf_counter()), self.send)

    def send(self) -> None:
        assert self.transport is not None
        if self.over:
            return
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        start = head.lower().find(b"content-length:")
        length = int(head[start + 15:].split(b"\r\n", 1)[0]) if start >= 0 else 0
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        self.latencies.append(time.perf_counter() - self.sent)
        status = int(head[9:12])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if self.every_s:
            self.send_in_time()
        else:
            self.send()


async def drive(url: str, connections: int, seconds: float, rate: float, request: bytes) -> dict[str, object]:
    """Load for so long; latencies in ms."""
    parts = urlsplit(url)
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    loop = asyncio.get_running_loop()
    every_s, first_s = connections / rate if rate else 0.0, time.perf_counter() + 0.1
    made = [await loop.create_connection(
        partial(Connection, request, latencies, statuses, first_s + number / connections * every_s, every_s),
        parts.hostname, parts.port) for number in range(connections)]
    latencies.clear()
    statuses.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took, counted, ended = time.perf_counter() - began, sorted(latencies), dict(statuses)
    for transport, protocol in made:
        protocol.over = True
        transport.close()
    return {"rps": len(counted) / took, "statuses": ended,
            "p50": at(counted, 0.50) * 1000, "p99": at(counted, 0.99) * 1000}


def at(ordered: list[float], share: float) -> float:
    """A quantile of sorted values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def request_bytes(url: str, method: str, body: bytes, headers: list[str]) -> bytes:
    """The request as it goes over the wire."""
    parts = urlsplit(url)
    lines = [f"{method} {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}",
             *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


if __name__ == "__main__":
    target, count, length, pace, verb, payload, *extra = sys.argv[1:]
    print(json.dumps(uvloop.run(drive(
        target, int(count), float(length), float(pace), request_bytes(target, verb, payload.encode(), extra)))))
