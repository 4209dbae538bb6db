"""Opening a connection to a store that may not be there, or not be the primary."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import hiredis
import pytest
from pydantic import SecretStr

from shared.settings.redis import RedisSettings
from shared.settings.wrong import WrongSetting
from shared.store.address import Address
from shared.store.connection import Connection
from shared.store.redis import Store, StoreUnavailable

Answer = Callable[[list[bytes]], bytes]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[int]:
    """A server that answers what it is asked; its port."""
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = hiredis.Reader()
        while data := await reader.read(65_536):
            asked.feed(data)
            while command := asked.gets():
                writer.write(answer(command))
        writer.close()
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        # they hear that whoever asked has gone
        await asyncio.sleep(0.01)


async def test_store_that_takes_connections_and_says_nothing_is_told_of() -> None:
    async with answering(lambda _: b"") as port:
        store = Store(RedisSettings(url=f"redis://127.0.0.1:{port}/0", patient_timeout_ms=500), patient=True)
        with pytest.raises(StoreUnavailable, match=r"PING: TimeoutError: no connection within 0\.5 s"):
            await store.ping()


async def test_sentinels_that_want_a_password_get_it_and_say_so_where_it_is_wrong() -> None:
    heard: list[list[bytes]] = []

    def sentinel(command: list[bytes]) -> bytes:
        heard.append(command)
        if command[0] == b"AUTH":
            return b"+OK\r\n" if command[2] == b"right" else b"-WRONGPASS invalid\r\n"
        return b"*2\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n" if heard[-2][2] == b"right" else b"-NOAUTH needed\r\n"
    async with answering(sentinel) as port:
        for password, says in (("wrong", "WRONGPASS"), ("right", "Connect call failed")):
            settings = RedisSettings(sentinels=[f"127.0.0.1:{port}"], sentinel_username="weir",
                                     sentinel_password=SecretStr(password))
            with pytest.raises(OSError, match=says):
                await Address(settings, 1).open()
    assert [command[:2] for command in heard] == [[b"AUTH", b"weir"], [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME"]] * 2


def test_tls_of_sentinels_is_that_of_the_url() -> None:
    with pytest.raises(WrongSetting, match="WEIR_REDIS_SENTINEL_TLS: without rediss://"):
        Address(RedisSettings(sentinels=["a:1"], sentinel_tls=True), 1)
    made = Address(RedisSettings(url="rediss://a/0", sentinels=["a:1"], sentinel_tls=True), 1)
    assert made._sentinel_tls is made._tls is not None


@pytest.mark.parametrize(("rest", "told"), [
    ("s://:h1dden@a/0?ssl_ca_certs=/none/here", "ssl_ca_certs: there is no file /none/here"),
    ("s://:h1dden@a/0?ssl_ca_cert=/etc/hosts", "there is no ssl_ca_cert; known are ssl_ca_certs, "),
    (f"s://:h1dden@a/0?ssl_certfile={__file__}&ssl_password=h1dden", "its ssl_... parts cannot be used: "),
    ("s://:h1dden@a/0?ssl_cert_reqs=maybe", "its ssl_... parts cannot be used: "),
    ("s://:h1dden@a/0?ssl_min_version=h1dden", "Invalid value for 'ssl_min_version'"),
    # as the plain text that it would be, nobody wants it
    (f"://:h1dden@a/0?ssl_ca_certs={__file__}", "has ssl_ca_certs, and without rediss:// there is no TLS"),
    ("://:h1dden@a/staging", "the number of a database"), ("://user/h1dden@a:6379/0", "the number of a database")])
def test_url_that_cannot_be_used_is_told_of_without_its_secret(rest: str, told: str) -> None:
    with pytest.raises(WrongSetting) as found:
        Store(RedisSettings(url=f"redis{rest}"))
    assert str(found.value).startswith("WEIR_REDIS_URL: ")
    assert told in str(found.value)
    assert "h1dden" not in str(found.value)


async def test_store_that_cannot_be_reached_keeps_nobody_for_longer_than_one_that_is_late(
        monkeypatch: pytest.MonkeyPatch) -> None:
    tries, there = 0, asyncio.Event()
    open_ = Address.open

    async def open_late(address: Address) -> Connection:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise TimeoutError("no connection within 0.5 s")
        await there.wait()
        return await open_(address)
    monkeypatch.setattr(Address, "open", open_late)
    async with answering(lambda _: b"+PONG\r\n") as port:
        store = Store(RedisSettings(url=f"redis://127.0.0.1:{port}/0", timeout_ms=20))
        with pytest.raises(StoreUnavailable, match=r"within 0\.5 s"):
            await store.ping()
        async with asyncio.timeout(5):
            found = await asyncio.gather(*(store.ping() for _ in range(3)), return_exceptions=True)
        assert [str(one) for one in found] == ["PING: TimeoutError: no connection within 0.02 s"] * 3
        assert tries == 2, "it is opened for all of them"
        # whoever comes when it is there at last finds it open
        there.set()
        await asyncio.sleep(0.1)
        await store.ping()
        assert tries == 2
        await store.stop()


@pytest.mark.parametrize("refusal", ["READONLY You can't write against a read only replica.",
                                     "NOREPLICAS Not enough good replicas to write."])
async def test_store_that_takes_no_writes_is_left_for_the_one_that_the_sentinels_name_by_then(refusal: str) -> None:
    greeted: list[int] = []

    def one(name: str, number: int) -> Answer:
        def answer(command: list[bytes]) -> bytes:
            if command[0] == b"HELLO":
                greeted.append(number)
            return b"-%s\r\n" % refusal.encode() if command[0] == b"SET" and number == 0 else b"+%s\r\n" % name.encode()
        return answer
    async with answering(one("former", 0)) as former, answering(one("latter", 1)) as latter:
        primary = former
        async with answering(lambda _: b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05d\r\n" % primary) as sentinel:
            store = Store(RedisSettings(sentinels=[f"127.0.0.1:{sentinel}"]))
            # while they name no other one it is not asked who that is each time, and what is read is read
            for _ in range(20):
                with pytest.raises(StoreUnavailable, match=refusal[:8]):
                    await store.command("SET", "a", "b")
                assert await store.command("GET", "a") == b"former"
            assert len(greeted) <= 2
            primary = latter
            async with asyncio.timeout(5):
                while await store.command("GET", "a") != b"latter":
                    with pytest.raises(StoreUnavailable):
                        await store.command("SET", "a", "b")
                    await asyncio.sleep(0.05)
            assert await store.command("SET", "a", "b") == b"latter"
            await store.stop()
