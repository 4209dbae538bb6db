"""Connections that lead to addresses which may be called, and to no others.

In:    host names and addresses of URLs that somebody else has written.
Out:   an aiohttp connector. Raises AddressRefused, alone or as the cause of aiohttp's own error.
Never: a name looked up twice: what was checked is what is connected to; an answer to a request that was not sent yet.
"""

import asyncio
import socket
from functools import partial
from typing import Any, cast

from aiohttp import ClientPayloadError, StreamReader, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, RawResponseMessage

from shared.runtime.addresses import Addresses, AddressRefused
from shared.runtime.lookups import Lookups

# answers before the answer (RFC 9110, 15.2): a 102 each second for the longest call are fewer
_MOST_INTERIM = 500


def connector(addresses: Addresses, *, limit: int = 100, per_host: int = 0) -> TCPConnector:
    """Made inside the running loop. Hosts that are written as addresses are not resolved: `check_literal` first."""
    made = TCPConnector(limit=limit, limit_per_host=per_host, resolver=GuardedResolver(addresses))
    # aiohttp has no other way to say what looks after a connection
    made._factory = cast("partial[ResponseHandler]", partial(_Exchange, loop=asyncio.get_running_loop()))
    return made


class _Exchange(ResponseHandler):
    """A connection on which each request has one answer; it ends with an answer too many.

    Whoever sends them without end would otherwise hold the loop, and one that nobody had asked for, as servers send it
    that are about to close a connection, would be taken for the answer to the next request.
    """

    _interim, _answered = 0, True

    def set_response_params(self, **how: Any) -> None:
        """A request is about to be sent."""
        self._interim, self._answered = 0, False
        super().set_response_params(**how)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """An answer has come."""
        is_interim = 100 <= data[0].code <= 199 and data[0].code != 101
        self._interim += is_interim
        if self._answered or self._interim > _MOST_INTERIM:
            self._end()
            return
        self._answered = not is_interim
        super().feed_data(data, size)

    def connection_lost(self, exc: BaseException | None) -> None:
        """A body that ends with its connection ends so only where that was closed (RFC 9112, 8)."""
        if exc is not None and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(ClientPayloadError("the connection was reset in the middle of the body"))
        super().connection_lost(exc)

    def _end(self) -> None:
        self.force_close()
        if not self._answered:
            self._answered = True
            self.set_exception(HttpProcessingError(message=f"more than {_MOST_INTERIM} answers of 1xx"))
        if self.transport is not None:
            self.transport.abort()


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
