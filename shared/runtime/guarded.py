"""Connections that lead to addresses which may be called, and to no others.

In:    host names and addresses of URLs that somebody else has written.
Out:   an aiohttp connector. Raises AddressRefused, alone or as the cause of aiohttp's own error.
Never: a name looked up twice: what was checked is what is connected to.
"""

import socket

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.runtime.addresses import Addresses, AddressRefused
from shared.runtime.lookups import Lookups


def connector(addresses: Addresses, *, limit: int = 100, per_host: int = 0) -> TCPConnector:
    """Made inside the running loop. Hosts that are written as addresses are not resolved: `check_literal` first."""
    return TCPConnector(limit=limit, limit_per_host=per_host, resolver=GuardedResolver(addresses))


class GuardedResolver(AbstractResolver):
    """Resolves names to addresses that may be called."""

    def __init__(self, addresses: Addresses, inner: AbstractResolver | None = None) -> None:
        """Made inside the running loop."""
        self._addresses, self._inner = addresses, inner or Lookups()

    async def resolve(self, host: str, port: int = 0,
                      family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Raises AddressRefused when one of the name's addresses may not be called: it could be the next one taken."""
        found = await self._inner.resolve(host, port, family)
        for one in found:
            if self._addresses.refuses(one["host"]):
                raise AddressRefused(host)
        return found

    async def close(self) -> None:
        """Close the inner one."""
        await self._inner.close()
