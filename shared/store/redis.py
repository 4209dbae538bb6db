"""The Redis client, its time-outs and its errors.

In:    `RedisSettings`.
Out:   `Store`: scripts by name, and `StoreUnavailable` for whatever goes wrong.
Never: a wait longer than the time-out that the settings name.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Blame, Retry, WeirError
from shared.names.reasons import Reason
from shared.settings.redis import RedisSettings
from shared.store.pool import close, pool
from shared.telemetry.metrics import Metrics

Argument = str | bytes | int


class StoreUnavailable(WeirError):
    """Redis does not answer in time, or refuses."""

    reason, title, status = Reason.UNAVAILABLE, "The store is not available", 503
    blame, retry = Blame.PLATFORM, Retry.LATER


class Store:
    """One connection pool. Scripts stand in `lua/<name>.lua` and run by their SHA."""

    def __init__(self, settings: RedisSettings, metrics: Metrics | None = None, *, patient: bool = False) -> None:
        """`patient` allows the longer time-out, for work that no caller waits for."""
        self._metrics = metrics or Metrics(muted=True)
        timeout_s = (settings.patient_timeout_ms if patient else settings.timeout_ms) / 1000
        self._pool = pool(settings, timeout_s)
        self._redis = Redis(connection_pool=self._pool)
        self._scripts: dict[str, Any] = {}

    async def start(self) -> None:
        """Nothing: connections open when they are needed."""

    async def stop(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await close(self._pool)

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a Lua script atomically. Raises StoreUnavailable."""
        known = self._scripts.get(script)
        if known is None:
            source = resources.files("shared.store.lua").joinpath(f"{script}.lua").read_text()
            known = self._scripts[script] = self._redis.register_script(source)
        with self._watched(f"script {script}"):
            return await known(keys=list(keys), args=list(arguments))

    async def hashes(self, keys: Sequence[str]) -> list[dict[bytes, bytes]]:
        """Whole hashes, in one round trip. Raises StoreUnavailable."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(key)
            with self._watched("HGETALL"):
                found: list[dict[bytes, bytes]] = await pipe.execute()
        return found

    async def many(self, commands: Sequence[Sequence[Argument]], *, atomic: bool = False) -> list[Any]:
        """Several commands, in one round trip; `atomic`: with nobody else's between them. Raises StoreUnavailable."""
        async with self._redis.pipeline(transaction=atomic) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            with self._watched("several"):
                found: list[Any] = await pipe.execute()
        return found

    async def scan_hash(self, key: str, cursor: int, count: int) -> tuple[int, dict[bytes, bytes]]:
        """About so many fields of a hash, and where to go on; 0 is the end. Raises StoreUnavailable."""
        with self._watched("HSCAN"):
            following, fields = await self._redis.hscan(key, cursor, count=count)
        return int(following), cast(dict[bytes, bytes], fields)

    async def ping(self) -> None:
        """Raises StoreUnavailable when Redis does not answer."""
        await self.command("PING")

    async def command(self, *parts: Argument) -> Any:
        """One command. Raises StoreUnavailable."""
        with self._watched(str(parts[0])):
            return await self._redis.execute_command(*parts)  # type: ignore[no-untyped-call]  # redis-py

    @contextmanager
    def _watched(self, what: str) -> Iterator[None]:
        """Measure a round trip; one error for whatever goes wrong in it.

        `asyncio.wait_for`, which the client writes with, forgets a cancellation that comes while what it waits for ends
        (cpython#86296, mended in 3.12): whoever was cancelled in here ends here.
        """
        began, task = time.monotonic_ns(), asyncio.current_task()
        cancellations = 0 if task is None else task.cancelling()
        try:
            yield
        except (RedisError, OSError, TimeoutError) as exc:
            self._metrics.store_errors.inc(what)
            raise StoreUnavailable(f"{what}: {type(exc).__name__}: {exc}") from exc
        if task is not None and task.cancelling() > cancellations:
            raise asyncio.CancelledError
        self._metrics.store_us.add((time.monotonic_ns() - began) // 1000, what)
