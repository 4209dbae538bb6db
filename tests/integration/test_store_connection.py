"""The store's connection to a store of its own that forgets scripts, asks for a password, hangs, and goes away."""

import asyncio
import signal
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.valkey import Valkey
from shared.settings.redis import RedisSettings
from shared.store.redis import Store, StoreUnavailable
from tests.support.platform import eventually, free_ports
from tests.support.stores import answers
from tests.unit.services.executor.steps.test_http import certificate

PASSWORD = "s3cret @:/?"
TIMEOUT_S = RedisSettings.model_fields["timeout_ms"].default / 1000
QUOTED = "s3cret%20%40%3A%2F%3F"


class Server:
    """A Valkey that may be stopped, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self._valkey = Valkey(folder, self.port)
        self.url = f"redis://:{QUOTED}@127.0.0.1:{self.port}/3"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._valkey.command(), "--requirepass", PASSWORD, "--enable-debug-command", "local",
            stdout=asyncio.subprocess.DEVNULL)
        probe = self.store(patient=True)
        await eventually(lambda: answers(probe))
        await probe.stop()

    def store(self, *, patient: bool = False) -> Store:
        return Store(RedisSettings(url=self.url), patient=patient)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    running = Server(tmp_path_factory.mktemp("store"))
    await running.start()
    yield running
    await running.kill()


@pytest.fixture
async def store(server: Server) -> AsyncIterator[Store]:
    made = server.store(patient=True)
    yield made
    await made.stop()


async def test_store_is_told_the_password_and_the_database_of_the_url(store: Store) -> None:
    assert b" db=3 " in await store.command("CLIENT", "INFO")


async def test_store_behind_tls_has_to_prove_its_name(server: Server, tmp_path: Path) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_behind = await asyncio.open_connection("127.0.0.1", server.port)

        async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            while piece := await source.read(65_536):
                to.write(piece)
            to.close()
        await asyncio.gather(pump(reader, to_behind), pump(behind, writer), return_exceptions=True)
    context, proof = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), certificate(tmp_path)
    context.load_cert_chain(proof)
    async with await asyncio.start_server(pass_on, "localhost", 0, ssl=context) as face:
        url = f"rediss://:{QUOTED}@localhost:{face.sockets[0].getsockname()[1]}/3"
        known, unknown = Store(RedisSettings(url=f"{url}?ssl_ca_certs={proof}")), Store(RedisSettings(url=url))
        await known.ping()
        assert await known.command("ECHO", "x" * 100_000) == b"x" * 100_000
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            await unknown.ping()
        await known.stop()


async def test_store_that_does_not_know_us_is_not_available(server: Server) -> None:
    for url in (server.url.replace(QUOTED, "wrong"), server.url.replace(f":{QUOTED}@", "")):
        stranger = Store(RedisSettings(url=url))
        with pytest.raises(StoreUnavailable, match=r"WRONGPASS|NOAUTH"):
            await stranger.ping()
        await stranger.stop()


async def test_scripts_that_the_store_has_forgotten_are_told_again(store: Store, name: str) -> None:
    for _ in range(2):
        await store.command("SCRIPT", "FLUSH")
        leases = await asyncio.gather(*(store.run("lease", [f"{name}:{number}"], [name, 1_000]) for number in range(9)))
        assert leases == [0] * 9


async def test_answers_stay_in_order_while_many_ask_and_some_leave(store: Store, name: str) -> None:
    await store.command("MSET", *(part for number in range(500) for part in (f"{name}:{number}", number)))

    async def ask(number: int) -> None:
        for _ in range(5):
            assert await store.command("GET", f"{name}:{number}") == b"%d" % number
            [one, two] = await store.many([("GET", f"{name}:{number}"), ("ECHO", f"{number}")])
            assert one == two == b"%d" % number
    asking = [asyncio.create_task(ask(number)) for number in range(500)]
    for turn in range(100):
        await asyncio.sleep(0)
        asking[turn * 5].cancel()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in found} <= {type(None), asyncio.CancelledError}


async def test_large_answers_come_whole(store: Store, name: str) -> None:
    large = bytes(range(256)) * 20_000
    await store.command("RPUSH", name, *[large] * 4)
    whole, small = await asyncio.gather(store.command("LRANGE", name, 0, -1), store.command("ECHO", "x"))
    assert whole == [large] * 4
    assert small == b"x"
    await store.command("DEL", name)


async def test_transaction_is_nobody_elses(store: Store, name: str) -> None:
    async def add() -> None:
        first, second = await store.many([("INCR", name), ("INCR", name)], atomic=True)
        assert second == first + 1
    await asyncio.gather(*(add() for _ in range(100)), *(store.command("INCR", name) for _ in range(100)))
    with pytest.raises(StoreUnavailable, match=r"EXECABORT|wrong number"):
        await store.many([("INCR", name), ("INCR",)], atomic=True)
    for atomic in (False, True):
        with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
            await store.many([("INCR", name), ("HGET", name, "x")], atomic=atomic)
    assert await store.command("GET", name) == b"302"


async def test_connection_that_is_cut_fails_those_who_wait_and_nobody_after_them(server: Server, store: Store) -> None:
    other = server.store(patient=True)
    mine = await store.command("CLIENT", "ID")
    await other.command("CLIENT", "PAUSE", 2_000, "WRITE")
    waiting = [asyncio.create_task(store.command("SET", "x", "y")), asyncio.create_task(store.command("ECHO", "x"))]
    await asyncio.sleep(0.05)
    await other.command("CLIENT", "KILL", "ID", mine)
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in found} == {StoreUnavailable}
    await other.command("CLIENT", "UNPAUSE")
    assert await store.command("ECHO", "y") == b"y"
    await other.stop()


async def test_long_command_of_somebody_else_fails_who_waited_for_too_long_and_nobody_else(
        server: Server, store: Store) -> None:
    hasty = server.store()
    await hasty.ping()
    waiting = asyncio.create_task(store.command("DEBUG", "SLEEP", "0.3"))
    await asyncio.sleep(0.01)
    with pytest.raises(StoreUnavailable, match="no answer within"):
        await hasty.command("ECHO", "early")
    # asked while it runs, until the time-out that meets its end
    while not waiting.done():
        asked = time.monotonic()
        try:
            assert await hasty.command("ECHO", "last") == b"last"
        except StoreUnavailable:
            assert time.monotonic() - asked > TIMEOUT_S * 0.9
    await waiting
    assert await hasty.command("ECHO", "after") == b"after"
    await hasty.stop()


async def test_store_that_hangs_costs_a_time_out_and_comes_back(server: Server) -> None:
    hasty = server.store()
    await hasty.ping()
    server.send(signal.SIGSTOP)
    began = time.monotonic()
    try:
        found = await asyncio.gather(*(hasty.command("ECHO", "x") for _ in range(20)), return_exceptions=True)
        assert {type(one) for one in found} == {StoreUnavailable}
        assert time.monotonic() - began < 1
        while time.monotonic() - began < 1.5:
            with pytest.raises(StoreUnavailable):
                await hasty.ping()
    finally:
        server.send(signal.SIGCONT)
    await eventually(lambda: answered(hasty))
    assert await hasty.command("ECHO", "y") == b"y"
    await hasty.stop()


async def answered(store: Store) -> bool:
    try:
        await store.ping()
    except StoreUnavailable:
        return False
    return True


async def test_store_that_has_died_is_away_and_comes_back(server: Server, store: Store, name: str) -> None:
    await store.command("SET", name, "kept")
    await asyncio.sleep(1.2)
    await server.kill()
    found = await asyncio.gather(*(store.command("GET", name) for _ in range(50)), return_exceptions=True)
    assert {type(one) for one in found} == {StoreUnavailable}
    await server.start()
    assert await asyncio.gather(*(store.command("GET", name) for _ in range(50))) == [b"kept"] * 50
