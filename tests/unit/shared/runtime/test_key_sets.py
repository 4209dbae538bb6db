"""Key sets are loaded whole, however they arrive, and hold what their issuer publishes now."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from threading import get_ident
from typing import Any

import orjson
import pytest
from aiohttp import web

from shared.decision.vault import Vault
from shared.runtime import key_sets
from shared.runtime.key_sets import FirstKeys, KeySets
from shared.runtime.tasks import Tasks
from tests.support.fakes import StoppedClock
from tests.support.issuer import Issuer

ISSUER, OTHER = Issuer(), Issuer("https://other.example")


class Publisher:
    """Sends a document piece by piece, each once the one before it has arrived."""

    def __init__(self) -> None:
        self.pieces: Sequence[bytes] = ()
        self.status, self.asked, self.url = 200, 0, ""
        self.answers, self._calls = asyncio.Event(), asyncio.Semaphore(0)
        self.answers.set()

    async def send(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        self._calls.release()
        await self.answers.wait()
        response = web.StreamResponse(status=self.status)
        response.content_length = sum(map(len, self.pieces))
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
            await asyncio.sleep(0.02)
        return response

    async def called(self, times: int) -> None:
        """So often since it was waited for the last time."""
        async with asyncio.timeout(2):
            for _ in range(times):
                await self._calls.acquire()


@asynccontextmanager
async def publishing(*pieces: bytes) -> AsyncIterator[Publisher]:
    publisher, application = Publisher(), web.Application()
    publisher.pieces = pieces
    application.router.add_get("/keys", publisher.send)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    publisher.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    try:
        yield publisher
    finally:
        await runner.cleanup()


@asynccontextmanager
async def feeding(vault: Vault, clock: StoppedClock | None = None, every_s: float = 300) -> AsyncIterator[KeySets]:
    tasks = Tasks()
    key_sets = KeySets(vault, clock or StoppedClock(), tasks, every_s=every_s)
    await key_sets.start()
    try:
        yield key_sets
    finally:
        await key_sets.stop()
        await tasks.stop()


def published(issuer: Issuer = ISSUER, *, padded_to: int = 0) -> bytes:
    """A document, filled up by a member that nobody reads."""
    document = orjson.dumps(issuer.published)
    padding = max(0, padded_to - len(document) - len(b',"more":""'))
    return orjson.dumps({**issuer.published, "more": "x" * padding}) if padded_to else document


def ids(vault: Vault, url: str) -> set[str | None]:
    return {key.kid for key in vault.key_sets[url]}


def kids(issuer: Issuer) -> set[str | None]:
    return {key.kid for key in issuer.keys.values()}


async def loaded(*pieces: bytes) -> bool:
    vault = Vault()
    async with publishing(*pieces) as publisher, feeding(vault) as key_sets:
        await key_sets.refresh(publisher.url)
        return publisher.url in vault.key_sets and ids(vault, publisher.url) == kids(ISSUER)


@pytest.mark.parametrize("count", [1, 2, 7])
async def test_key_set_that_arrives_in_several_pieces_is_loaded_whole(count: int) -> None:
    document = published()
    length = -(-len(document) // count)
    assert await loaded(*(document[at:at + length] for at in range(0, len(document), length)))


@pytest.mark.parametrize(("size", "fits"), [(70_000, True), (300_000, True), (1_000_000, True), (1_000_001, False)])
async def test_large_key_set_is_loaded_up_to_the_bound(size: int, fits: bool) -> None:
    document = published(padded_to=size)
    assert len(document) == size
    assert await loaded(document) is fits


async def test_what_is_no_key_set_is_not_taken_and_the_one_before_it_stays(
        caplog: pytest.LogCaptureFixture) -> None:
    vault = Vault()
    async with publishing(published()) as publisher, feeding(vault) as key_sets:
        await key_sets.refresh(publisher.url)
        for pieces, status in (([published(OTHER)[:-9]], 200), ([published(OTHER, padded_to=1_100_000)], 200),
                               ([published(OTHER)], 404), ([b"[]"], 200), ([b'{"keys": [5]}'], 200),
                               ([b'{"keys": []}'], 200)):
            publisher.pieces, publisher.status = pieces, status
            await key_sets.refresh(publisher.url)
        assert ids(vault, publisher.url) == kids(ISSUER)
        assert publisher.asked == 7
    assert [record.message for record in caplog.records if "larger than 1000000 bytes" in record.message]


async def test_key_set_is_read_from_a_file_up_to_the_bound(tmp_path: Path) -> None:
    vault, file = Vault(), tmp_path / "key set.json"
    async with feeding(vault) as key_sets:
        url = file.as_uri()
        await key_sets.refresh(url)
        assert url not in vault.key_sets
        file.write_bytes(published())
        await key_sets.refresh(url)
        assert ids(vault, url) == kids(ISSUER)
        file.write_bytes(published(OTHER, padded_to=1_000_001))
        await key_sets.refresh(url)
        assert ids(vault, url) == kids(ISSUER)


async def test_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "keys"
    os.mkfifo(pipe)
    async with feeding(Vault()) as key_sets:
        reading = asyncio.ensure_future(key_sets.refresh(pipe.as_uri()))
        done, _ = await asyncio.wait([reading], timeout=2)
        if not done:
            # whoever waits for it has its end
            pipe.write_bytes(b"")
            await reading
        assert done


async def test_key_that_is_published_no_more_is_forgotten() -> None:
    vault = Vault()
    async with publishing(published()) as publisher, feeding(vault) as key_sets:
        await key_sets.refresh(publisher.url)
        left = [key for key in ISSUER.published["keys"] if key["kty"] != "RSA"]
        publisher.pieces = [orjson.dumps({"keys": left})]
        await key_sets.refresh(publisher.url)
        assert ids(vault, publisher.url) == kids(ISSUER) - {ISSUER.keys["RS256"].kid}


async def test_secret_and_encryption_keys_are_left_out() -> None:
    vault = Vault()
    odd = [{"kty": "oct", "k": "AAAA", "kid": "secret"}, {**ISSUER.published["keys"][0], "kid": "enc", "use": "enc"}]
    async with publishing(orjson.dumps({"keys": [*odd, *ISSUER.published["keys"]]})) as publisher, \
            feeding(vault) as key_sets:
        await key_sets.refresh(publisher.url)
        assert ids(vault, publisher.url) == kids(ISSUER)


@pytest.mark.parametrize("odd", [
    {"kty": "EC", "crv": "P-9", "x": "AA", "y": "AA"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    {"kty": "OKP", "crv": "X9", "x": "AA"}, {"kty": "RSA", "e": "AQAB"}, {"kty": "RSA", "e": "AQAB", "n": "*"},
    {"kty": "ML", "pub": "AA"}, {**ISSUER.published["keys"][0], "kid": 5}, {**ISSUER.published["keys"][0], "x5c": "AA"},
    {"kty": ["RSA"]}, {}, 5, None])
async def test_key_that_nobody_here_can_read_takes_no_other_with_it(odd: object) -> None:
    for keys in ([odd, *ISSUER.published["keys"]], [*ISSUER.published["keys"], odd]):
        assert await loaded(orjson.dumps({"keys": keys}))
    assert not await loaded(orjson.dumps({"keys": [odd]}))


async def test_address_is_asked_at_once_when_it_is_new_and_again_after_a_rest() -> None:
    vault, clock = Vault(), StoppedClock()
    async with publishing(published()) as publisher, feeding(vault, clock) as key_sets:
        for _ in range(2):
            key_sets.want([publisher.url])
            await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "key set"))
        assert (publisher.asked, ids(vault, publisher.url)) == (1, kids(ISSUER))
        assert not key_sets.worth_asking(publisher.url)
        clock.now += 10_000
        assert key_sets.worth_asking(publisher.url)


async def test_issuer_that_does_not_answer_holds_up_nobody_elses_keys() -> None:
    async with publishing(published()) as silent, publishing(published()) as publisher, \
            feeding(Vault(), every_s=0.2) as key_sets:
        silent.answers.clear()
        key_sets.want([silent.url, publisher.url])
        await silent.called(1)
        await publisher.called(2)
        silent.answers.set()


async def test_many_issuers_that_do_not_answer_leave_room_for_the_others() -> None:
    async with publishing(published()) as silent, publishing(published()) as publisher, feeding(Vault()) as key_sets:
        silent.answers.clear()
        many = [f"{silent.url}?{number}" for number in range(150)]
        key_sets.want(many)
        await silent.called(100)
        key_sets.want([*many, publisher.url])
        await publisher.called(1)
        silent.answers.set()


async def test_no_call_is_taken_before_the_keys_are_there_that_come_soon() -> None:
    vault = Vault()
    async with publishing(*[b" "] * 9, published()) as slow, publishing() as silent, feeding(vault) as key_sets:
        silent.answers.clear()
        key_sets.want([slow.url])
        await FirstKeys(key_sets, patience_s=5).start()
        assert ids(vault, slow.url) == kids(ISSUER)
        key_sets.want([slow.url, silent.url])
        async with asyncio.timeout(5):
            await FirstKeys(key_sets, patience_s=0.05).start()
        silent.answers.set()


async def test_keys_that_no_project_names_any_more_are_forgotten() -> None:
    vault = Vault()
    async with publishing(published()) as publisher, publishing(published()) as other, \
            feeding(vault, every_s=0.01) as key_sets:
        key_sets.want([publisher.url, other.url])
        await asyncio.gather(publisher.called(2), other.called(2))
        assert set(vault.key_sets) == {publisher.url, other.url}
        key_sets.want([other.url])
        assert list(vault.key_sets) == [other.url]
        await asyncio.sleep(0.1)
        asked = publisher.asked
        await other.called(other.asked - 2 + 3)
        assert (publisher.asked, list(vault.key_sets)) == (asked, [other.url])


async def test_keys_that_are_wanted_again_while_they_are_fetched_are_kept() -> None:
    vault = Vault()
    async with publishing(published()) as publisher, feeding(vault) as key_sets:
        publisher.answers.clear()
        key_sets.want([publisher.url])
        await publisher.called(1)
        key_sets.want([])
        key_sets.want([publisher.url])
        publisher.answers.set()
        await key_sets.refresh(publisher.url)
        assert (list(vault.key_sets), publisher.asked) == ([publisher.url], 1)


async def test_large_key_set_holds_up_nobody_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read, where = key_sets._key_set, []
    monkeypatch.setattr(key_sets, "_key_set", lambda document: (where.append(get_ident()), read(document))[1])
    assert await loaded(published())
    assert get_ident() not in where


async def test_all_who_miss_a_key_at_once_share_one_answer() -> None:
    vault = Vault()
    async with publishing(published()) as publisher, feeding(vault) as key_sets:
        waiting = [asyncio.create_task(key_sets.refresh(publisher.url)) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(*waiting[1:])
        assert (publisher.asked, ids(vault, publisher.url)) == (1, kids(ISSUER))
        await key_sets.refresh(publisher.url)
        assert publisher.asked == 2


async def test_issuer_is_asked_again_after_its_rest_though_the_clock_was_set_back() -> None:
    clock, tasks = StoppedClock(), Tasks()
    key_sets = KeySets(Vault(), clock, tasks, rest_s=10)
    assert key_sets.worth_asking("file:///none")
    await key_sets.refresh("file:///none")
    clock.now += 9_000
    clock.set_ms = 3_600_000
    assert not key_sets.worth_asking("file:///none")
    clock.now += 1_000
    clock.set_ms = -3_600_000
    assert key_sets.worth_asking("file:///none")
    await tasks.stop()


async def test_issuer_that_takes_longer_to_fail_than_its_rest_is_not_asked_again_by_those_who_waited() -> None:
    class Slow(KeySets):
        async def _fetch(self, url: str) -> Any:
            clock.now += 5_000
            raise TimeoutError

    clock, tasks = StoppedClock(), Tasks()
    key_sets = Slow(Vault(), clock, tasks, rest_s=1)
    await key_sets.refresh("https://id.example/keys")
    assert not key_sets.worth_asking("https://id.example/keys")
    clock.now += 1_000
    assert key_sets.worth_asking("https://id.example/keys")
    await tasks.stop()
