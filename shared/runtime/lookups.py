"""Names looked up, each in a thread of its own.

In:    host names.
Out:   their addresses, as a connector of aiohttp asks for them. Raises OSError.
Never: a name that waits behind others whose name servers are silent; a process whose end waits for those.

The loop's own lookups share four threads, and libuv lets no more than two of them wait: two silent name servers would
keep every other name from being looked up, whoever asks.
"""

import asyncio
import socket
from contextlib import suppress
from threading import Thread
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

# threads: what a name server does not answer is given up by the machine after some seconds
_MOST = 128
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
Found = list[ResolveResult] | Exception


class Lookups(AbstractResolver):
    """Of one connector."""

    def __init__(self, most: int = _MOST) -> None:
        """`most`: at a time; made inside the running loop."""
        self._places = asyncio.Semaphore(most)

    async def resolve(self, host: str, port: int = 0,
                      family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """All addresses. Raises OSError, and ValueError for what can be no name."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def look() -> None:
            found = _looked_up(host, port, family)
            # the loop may have come to its end meanwhile
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._told, answer, found)
        try:
            Thread(target=look, name="lookup", daemon=True).start()
        except RuntimeError as exc:
            self._places.release()
            raise OSError(f"no thread to look up a name in: {exc}") from exc
        return await answer

    def _told(self, answer: "asyncio.Future[list[ResolveResult]]", found: Found) -> None:
        # whoever asked may wait no more; the thread has held its place all the same
        self._places.release()
        if answer.done():
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    async def close(self) -> None:
        """Nothing is open."""


def _looked_up(host: str, port: int, family: socket.AddressFamily) -> Found:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
        return [ResolveResult(hostname=host, host=_text(address), port=port, family=kind, proto=proto, flags=_NUMERIC)
                for kind, _, proto, _, address in infos]
    except Exception as exc:
        return exc


def _text(address: Any) -> str:
    """With its scope, where it has one (RFC 4007)."""
    if len(address) == 4 and address[3]:
        return socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
    return str(address[0])
