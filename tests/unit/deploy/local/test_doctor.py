"""What is said of a store that is not ours."""

import pytest

from deploy.local.doctor import store_outside
from shared.settings.redis import RedisSettings
from tests.unit.shared.store.test_address import answering


@pytest.mark.parametrize(("told", "ok", "said"), [
    ("redis_version:7.2.4\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\ncluster_enabled:0", True, "7.2.4"),
    ("# Server\r\nredis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru", True, "7.0.15"),
    ("redis_version:7.2.4\r\nmaxmemory:100\r\nmaxmemory_policy:volatile-lru", False, "set noeviction"),
    ("redis_version:6.2.5\r\nmaxmemory:0", False, "7.0 or newer"),
    ("redis_version:8.0.1\r\ncluster_enabled:1", False, "Redis Cluster"),
    ("redis_version:7.2.4\r\nrole:master", True, "7.2.4"), ("redis_version:7.2.4\r\nrole:slave", False, "replica")])
async def test_store_that_would_lose_what_is_counted_is_found(told: str, ok: bool, said: str) -> None:
    def answer(command: list[bytes]) -> bytes:
        return b"$%d\r\n%s\r\n" % (len(told), told.encode()) if command == [b"INFO"] else b"+OK\r\n"
    async with answering(answer) as port:
        found = await store_outside(RedisSettings(url=f"redis://:secret@127.0.0.1:{port}/0"))
    assert (found.ok, said in found.finding) == (ok, True)


async def test_store_that_is_not_there_is_found_and_its_password_is_not_shown() -> None:
    found = await store_outside(RedisSettings(url="redis://:secret@127.0.0.1:9/0"))
    assert (found.ok, "WEIR_REDIS_URL" in found.finding, "secret" in found.finding) == (False, True, False)
