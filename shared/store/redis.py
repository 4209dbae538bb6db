"""The Redis client, its time-outs and its errors.

In:    `RedisSettings`.
Out:   `Store`: scripts by name, and `StoreUnavailable` for whatever goes wrong.
Never: a wait longer than the time-out that the settings name.
"""

from collections.abc import Sequence
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Blame, Retry, WeirError
from shared.names.reasons import Reason
from shared.settings.redis import RedisSettings

Argument = str | bytes | int


class StoreUnavailable(WeirError):
    """Redis does not answer in time, or refuses."""

    reason, title, status = Reason.UNAVAILABLE, "The store is not available", 503
    blame, retry = Blame.PLATFORM, Retry.LATER


class Store:
    """One connection pool. Scripts stand in `lua/<name>.lua` and run by their SHA."""

    def __init__(self, settings: RedisSettings, *, patient: bool = False) -> None:
        """`patient` allows the longer time-out, for work that no caller waits for."""
        timeout_s = (settings.patient_timeout_ms if patient else settings.timeout_ms) / 1000
        self._redis = Redis.from_url(settings.url, socket_timeout=timeout_s,
                                     socket_connect_timeout=max(timeout_s, 0.5))
        self._scripts: dict[str, Any] = {}

    async def start(self) -> None:
        """Nothing: connections open when they are needed."""

    async def stop(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a Lua script atomically. Raises StoreUnavailable."""
        known = self._scripts.get(script)
        if known is None:
            source = resources.files("shared.store.lua").joinpath(f"{script}.lua").read_text()
            known = self._scripts[script] = self._redis.register_script(source)
        try:
            return await known(keys=list(keys), args=list(arguments))
        except (RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(f"script {script}: {type(exc).__name__}: {exc}") from exc

    async def hashes(self, keys: Sequence[str]) -> list[dict[bytes, bytes]]:
        """Whole hashes, in one round trip. Raises StoreUnavailable."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hgetall(key)
                found: list[dict[bytes, bytes]] = await pipe.execute()
                return found
        except (RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(f"HGETALL of {len(keys)} keys: {type(exc).__name__}: {exc}") from exc

    async def ping(self) -> None:
        """Raises StoreUnavailable when Redis does not answer."""
        await self.command("PING")

    async def command(self, *parts: Argument) -> Any:
        """One command. Raises StoreUnavailable."""
        try:
            return await self._redis.execute_command(*parts)  # type: ignore[no-untyped-call]  # redis-py
        except (RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(f"{parts[0]!s}: {type(exc).__name__}: {exc}") from exc
