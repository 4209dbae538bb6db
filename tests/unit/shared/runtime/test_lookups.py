"""Names looked up while other names hang."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared.runtime.addresses import Addresses
from shared.runtime.guarded import GuardedResolver
from shared.runtime.lookups import Lookups

MANY = 60


class Servers:
    """Name servers: what begins with `slow` waits until it may go on, what begins with `no` has no address."""

    def __init__(self) -> None:
        self.may, self.hanging = threading.Event(), 0

    def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        if host.startswith("slow"):
            self.hanging += 1
            self.may.wait(10)
        if host.startswith("no"):
            raise socket.gaierror("no address")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port)),
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:4700::1111", port, 0, 0)),
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", port, 0, 1))]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    made = Servers()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.may.set()


async def test_name_is_found_though_many_others_hang_and_nobody_waits_for_them_any_more(servers: Servers) -> None:
    guard = GuardedResolver(Addresses(["fe80::/10"]))
    hanging = [asyncio.ensure_future(guard.resolve(f"slow{number}.example", 80)) for number in range(MANY)]
    found = await asyncio.wait_for(guard.resolve("good.example", 443, socket.AF_UNSPEC), 5)
    assert [(one["host"].partition("%")[0], one["port"], one["family"]) for one in found] == [
        ("8.8.8.8", 443, socket.AF_INET), ("2606:4700::1111", 443, socket.AF_INET6), ("fe80::1", 443, socket.AF_INET6)]
    assert "%" in found[2]["host"]
    with pytest.raises(socket.gaierror):
        await guard.resolve("none.example")
    assert servers.hanging == MANY
    for one in hanging:
        one.cancel()
    servers.may.set()
    assert len(await guard.resolve("slow.example")) == 3


async def test_lookups_at_a_time_are_bounded_and_one_that_is_given_up_counts_until_it_ends(servers: Servers) -> None:
    lookups = Lookups(most=2)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lookups.resolve("slow.example"), 0.01)
    waiting = asyncio.ensure_future(lookups.resolve("good.example"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    servers.may.set()
    assert len(await waiting) == 3
