"""The store as the services know it.

In:    `RedisSettings`.
Out:   `Store`: scripts by name, commands, and `StoreUnavailable` for whatever goes wrong.
Never: a wait longer than the time-out that the settings name.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from hashlib import sha1
from importlib import resources
from typing import Any, NamedTuple

from shared.errors import Blame, Retry, WeirError
from shared.names.reasons import Reason
from shared.settings.redis import RedisSettings
from shared.store.address import Address
from shared.store.connection import Argument, Connection, NoScript, NotPrimary, Refused
from shared.telemetry.metrics import Metrics

_OPEN, _END = ("MULTI",), ("EXEC",)
# others still read from a store that takes no writes: who the primary is, is asked once in so long
_PRIMARY_EVERY_S = 1.0


class StoreUnavailable(WeirError):
    """Redis does not answer in time, or refuses."""

    reason, title, status = Reason.UNAVAILABLE, "The store is not available", 503
    blame, retry = Blame.PLATFORM, Retry.LATER


class _ScriptForgotten(StoreUnavailable):
    """Redis has begun anew, or was told to forget its scripts."""


class _Script(NamedTuple):
    """`what`: its name in metrics and errors."""

    what: str
    source: str
    sha: str


class Store:
    """One connection, for whoever asks. Scripts stand in `lua/<name>.lua` and run by their SHA."""

    def __init__(self, settings: RedisSettings, metrics: Metrics | None = None, *, patient: bool = False) -> None:
        """`patient` allows the longer time-out, for work that no caller waits for."""
        self._metrics = metrics or Metrics(muted=True)
        self._timeout_s = (settings.patient_timeout_ms if patient else settings.timeout_ms) / 1000
        self._address = Address(settings, self._timeout_s)
        self._connection: Connection | None = None
        self._opening: asyncio.Future[Connection] | None = None
        # whether the last connection could not be opened
        self._unreachable = False
        self._elsewhere_s = -math.inf
        self._scripts: dict[str, _Script] = {}

    async def start(self) -> None:
        """Nothing: the connection opens when it is needed."""

    async def stop(self) -> None:
        """Close the connection."""
        if self._opening is not None:
            self._opening.add_done_callback(_close)
        if self._connection is not None and not self._connection.lost:
            self._connection.close()

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a Lua script atomically. Raises StoreUnavailable."""
        known = self._scripts.get(script) or self._read(script)
        try:
            [answer] = await self._ask(known.what, (("EVALSHA", known.sha, len(keys), *keys, *arguments),))
        except _ScriptForgotten:
            [answer] = await self._ask(known.what, (("EVAL", known.source, len(keys), *keys, *arguments),))
        return answer

    async def hashes(self, keys: Sequence[str]) -> list[dict[bytes, bytes]]:
        """Whole hashes, in one round trip. Raises StoreUnavailable."""
        return await self._ask("HGETALL", [("HGETALL", key) for key in keys]) if keys else []

    async def many(self, commands: Sequence[Sequence[Argument]], *, atomic: bool = False) -> list[Any]:
        """Several commands, in one round trip; `atomic`: with nobody else's between them. Raises StoreUnavailable."""
        if not commands:
            return []
        if not atomic:
            return await self._ask("several", commands)
        *_, found = await self._ask("several", [_OPEN, *commands, _END])
        try:
            return _check(found)
        except Refused as exc:
            raise self._away("several", exc) from exc

    async def scan_hash(self, key: str, cursor: int, count: int) -> tuple[int, dict[bytes, bytes]]:
        """About so many fields of a hash, and where to go on; 0 is the end. Raises StoreUnavailable."""
        [[following, flat]] = await self._ask("HSCAN", (("HSCAN", key, cursor, "COUNT", count),))
        return int(following), dict(zip(flat[::2], flat[1::2], strict=True))

    async def ping(self) -> None:
        """Raises StoreUnavailable when Redis does not answer."""
        await self.command("PING")

    async def command(self, *parts: Argument) -> Any:
        """One command, and its answer as the store gives it. Raises StoreUnavailable."""
        [answer] = await self._ask(str(parts[0]), (parts,))
        return answer

    async def _ask(self, what: str, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Measure a round trip; one error for whatever goes wrong in it."""
        began, connection = time.monotonic_ns(), self._connection
        try:
            if connection is None or connection.lost:
                connection = await self._open()
            answers = await connection.ask(commands)
            _check(answers)
        except NoScript as exc:
            raise _ScriptForgotten(f"{what}: {exc}") from exc
        except (Refused, OSError, TimeoutError) as exc:
            if isinstance(exc, NotPrimary) and connection is not None:
                self._look_elsewhere(connection, exc)
            raise self._away(what, exc) from exc
        self._metrics.store_us.add((time.monotonic_ns() - began) // 1000, what)
        return answers

    def _look_elsewhere(self, connection: Connection, why: NotPrimary) -> None:
        """Whoever asks next asks for the primary."""
        now_s = time.monotonic()
        if now_s - self._elsewhere_s >= _PRIMARY_EVERY_S:
            self._elsewhere_s = now_s
            connection.close(str(why))

    def _away(self, what: str, why: Exception) -> StoreUnavailable:
        self._metrics.store_errors.inc(what)
        return StoreUnavailable(f"{what}: {type(why).__name__}: {why}")

    async def _open(self) -> Connection:
        """Whoever waits while another opens the connection gets that one, or the same failure.

        To open one takes longer than a command. A store that could not be reached is tried for as long, but keeps
        nobody for longer than one that is late.
        """
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._address.open())
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        if self._unreachable:
            await asyncio.wait([opening], timeout=self._timeout_s)
            if not opening.done():
                raise TimeoutError(f"no connection within {self._timeout_s:g} s")
        return await asyncio.shield(opening)

    def _opened(self, opening: "asyncio.Future[Connection]") -> None:
        self._opening = None
        if opening.cancelled():
            return
        self._unreachable = opening.exception() is not None
        if not self._unreachable:
            self._connection = opening.result()

    def _read(self, script: str) -> _Script:
        source = resources.files("shared.store.lua").joinpath(f"{script}.lua").read_text()
        found = self._scripts[script] = _Script(
            f"script {script}", source, sha1(source.encode(), usedforsecurity=False).hexdigest())
        return found


def _close(opening: "asyncio.Future[Connection]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _check(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Refused):
            raise answer
    return answers
