"""Key sets of token issuers, fetched and kept.

In:    addresses that projects name: https://, file:///.
Out:   the vault's key sets, refreshed now and then, and at once when a token names a key that is not among them.
Never: a key set thrown away because its issuer is away; an address asked more often than the settings say.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, import_key

from shared.clock import Clock
from shared.decision.vault import Vault
from shared.names import actions
from shared.runtime.bodies import whole
from shared.runtime.lookups import Lookups
from shared.runtime.tasks import Tasks

log = logging.getLogger(__name__)
_TIMEOUT_S = 5
_MAX_BYTES = 1_000_000
_ASYMMETRIC = ("RSA", "EC", "OKP")


class KeySets:
    """Feeds the vault."""

    def __init__(self, vault: Vault, clock: Clock, tasks: Tasks, *, every_s: float = 300, rest_s: int = 10) -> None:
        """`every_s`: between two refreshes; `rest_s`: the least time between two questions to one address."""
        self._vault, self._clock, self._tasks, self._every_s, self._rest_s = vault, clock, tasks, every_s, rest_s
        self._asked_us: dict[str, int] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        # of addresses that were never asked before
        self._first: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._http: ClientSession | None = None

    async def start(self) -> None:
        """Refresh what is known, now and then."""
        # no bound on connections: those that wait for an answer in vain leave none for the issuers that give one
        self._http = ClientSession(timeout=ClientTimeout(total=_TIMEOUT_S),
                                   connector=TCPConnector(limit=0, resolver=Lookups()))
        self._loop = self._tasks.spawn(self._now_and_then(), "key sets")

    async def stop(self) -> None:
        """Close."""
        if self._loop is not None:
            await self._tasks.end(self._loop)
        if self._http is not None:
            await self._http.close()

    def want(self, urls: Iterable[str]) -> None:
        """Fetch those that were never asked for, before the first token needs them; forget all that are not wanted."""
        wanted = set(urls)
        for url in self._asked_us.keys() - wanted:
            del self._asked_us[url]
            self._vault.key_sets.pop(url, None)
        for url in wanted - self._asked_us.keys():
            # from now on, for it may be on its way already, since before it was forgotten
            self._asked_us[url] = self._clock.elapsed_us()
            first = self._tasks.spawn(self.refresh(url), "key set")
            self._first.add(first)
            first.add_done_callback(self._first.discard)

    def worth_asking(self, url: str) -> bool:
        """Whether its issuer has not been asked just now."""
        return self._clock.elapsed_us() - self._asked_us.get(url, -10**15) >= self._rest_s * 1_000_000

    async def refresh(self, url: str) -> None:
        """Fetch a key set; what cannot be fetched stays as it was. All who wait for one get what is fetched once."""
        loading = self._loading.get(url)
        if loading is None:
            loading = self._loading[url] = self._tasks.spawn(self._load(url), "key set")
            loading.add_done_callback(lambda _: self._loading.pop(url))
        # whoever gives up does not end it for the others
        await asyncio.shield(loading)

    async def fetched(self) -> None:
        """Return once every address that is wanted has been asked for the first time, and has answered or failed."""
        while self._first:
            await asyncio.wait(self._first)

    async def _load(self, url: str) -> None:
        self._asked_us[url] = self._clock.elapsed_us()
        self._vault.fetching.add(url)
        try:
            # a large one takes a second, in which nobody else would be answered
            keys = await asyncio.to_thread(_key_set, await self._fetch(url))
        except (OSError, ClientError, TimeoutError, ValueError, TypeError, KeyError, JoseError) as exc:
            log.warning("keys at %s cannot be had: %s: %s", url, type(exc).__name__, exc,
                        extra={"action": actions.KEYS_AWAY})
            return
        finally:
            self._vault.fetching.discard(url)
            if url in self._asked_us:
                # the rest begins with the answer: who waited for one that took longer would ask again, and never end
                self._asked_us[url] = self._clock.elapsed_us()
        if url in self._asked_us:
            self._vault.key_sets[url] = keys

    async def _fetch(self, url: str) -> Any:
        if url.startswith("file:"):
            return _document(await asyncio.to_thread(_whole_file, Path(unquote(urlsplit(url).path))))
        assert self._http is not None
        async with self._http.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            return _document(await whole(answer.content, _MAX_BYTES))

    async def _now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            # side by side: an issuer that does not answer holds up nobody else's keys
            await asyncio.gather(*(self.refresh(url) for url in self._asked_us))


class FirstKeys:
    """A part that has started once the key sets are there that are wanted by then, or will not be there soon.

    Whoever takes calls before gives good tokens a 503.
    """

    def __init__(self, key_sets: KeySets, patience_s: float = 1.0) -> None:
        """`patience_s`: an issuer that does not answer keeps the calls of all others waiting, but not for longer."""
        self._key_sets, self._patience_s = key_sets, patience_s

    async def start(self) -> None:
        """Wait for them."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                await self._key_sets.fetched()

    async def stop(self) -> None:
        """Nothing."""


def _key_set(document: Any) -> KeySet:
    """Its keys for signatures. One that cannot be read is none (RFC 7517, 5): the others verify what they always have.

    Raises TypeError, KeyError for what is no key set, ValueError for one without any such key.
    """
    keys = []
    for key in document["keys"]:
        if isinstance(key, dict) and key.get("kty") in _ASYMMETRIC and key.get("use", "sig") == "sig":
            # whatever the library cannot make of it: an unknown curve, a point that is not on it, a name of no text
            with suppress(JoseError, ValueError, TypeError, KeyError):
                keys.append(import_key(key))
    if not keys:
        raise ValueError("no key that verifies signatures can be read in it")
    return KeySet(keys)


def _whole_file(path: Path) -> bytes | None:
    if path.exists() and not path.is_file():
        # a pipe that nobody writes to would keep a thread for ever, and all calls that wait for its keys
        raise ValueError("this is no file")
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    return raw if len(raw) <= _MAX_BYTES else None


def _document(raw: bytes | None) -> Any:
    if raw is None:
        raise ValueError(f"larger than {_MAX_BYTES} bytes")
    return orjson.loads(raw)
