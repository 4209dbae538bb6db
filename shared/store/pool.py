"""Connections to Redis: to the one that the URL names, or to whichever the Sentinels call the primary.

In:    `RedisSettings`, a time-out.
Out:   a pool; whoever finds all connections busy waits for one.
Never: a command.
"""

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Sentinel
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.maint_notifications import MaintNotificationsConfig

from shared.settings.redis import RedisSettings

# opening a connection takes longer than a command
_LEAST_CONNECT_S = 0.5


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """The client's pool for Sentinels refuses whoever finds all connections busy; this one lets them wait."""


def pool(settings: RedisSettings, timeout_s: float) -> ConnectionPool:
    """Connections that fail nobody because they have idled, or because many ask at once."""
    connect_s = max(timeout_s, _LEAST_CONNECT_S)
    # with maintenance notifications on, it does not look whether an idle connection has been lost
    common = {"max_connections": settings.connections, "timeout": timeout_s, "socket_timeout": timeout_s,
              "socket_connect_timeout": connect_s,
              "maint_notifications_config": MaintNotificationsConfig(enabled=False)}
    if not settings.sentinels:
        return BlockingConnectionPool.from_url(settings.url, **common)
    places = [(host, int(port)) for host, _, port in (one.rpartition(":") for one in settings.sentinels)]
    known = dict(parse_url(settings.url))
    given = {name: known[name] for name in ("db", "username", "password") if name in known}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py
        places, socket_timeout=connect_s, socket_connect_timeout=connect_s)
    return _SentinelPool(  # type: ignore[no-untyped-call]  # redis-py
        settings.primary, sentinel, ssl=known.get("connection_class") is SSLConnection, **given, **common)


async def close(found: ConnectionPool) -> None:
    """Close all connections, those to Sentinels, too."""
    await found.disconnect()
    if isinstance(found, _SentinelPool):
        await found.sentinel_manager.aclose()
