"""Where the store is: where the URL says, or wherever the Sentinels say that the primary is.

In:    `RedisSettings`.
Out:   connections to it that it has let in. Raises Refused, OSError, TimeoutError.
Never: a command of those who ask.
"""

import asyncio
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

from redis import RedisError
from redis.asyncio.connection import RedisSSLContext, SSLConnection, parse_url

from shared.settings.redis import RedisSettings
from shared.settings.wrong import WrongSetting
from shared.store.connection import Argument, Connection, Refused

# opening a connection takes longer than a command
_LEAST_CONNECT_S = 0.5
# of the URL, behind `ssl_`; the name of the store is checked, and who has signed it, unless they say otherwise
_TLS_FILES = ("ca_certs", "certfile", "keyfile")
_TLS_PARTS = (*_TLS_FILES, "ca_path", "password", "check_hostname", "cert_reqs", "ciphers", "min_version")
Place = tuple[str, int]


class Address:
    """Opens connections."""

    def __init__(self, settings: RedisSettings, timeout_s: float) -> None:
        """`timeout_s`: of a command. Raises WrongSetting for a URL that cannot be used."""
        known = _parts(settings.url)
        self._connect_s = max(timeout_s, _LEAST_CONNECT_S)
        self._make = partial(Connection, timeout_s, self._connect_s)
        self._place: Place = known.get("host", "localhost"), known.get("port", 6379)
        self._path: str | None = known.get("path")
        self._tls = _tls(known)
        self._primary = settings.primary
        self._sentinels: list[Place] = [
            (host, int(port)) for host, _, port in (one.rpartition(":") for one in settings.sentinels)]
        if settings.sentinel_tls and self._tls is None:
            raise WrongSetting("WEIR_REDIS_SENTINEL_TLS: without rediss:// in WEIR_REDIS_URL there is no TLS")
        self._sentinel_tls = self._tls if settings.sentinel_tls else None
        password = settings.sentinel_password
        self._question: list[list[Argument]] = [["SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._primary]]
        if password is not None:
            self._question.insert(0, ["AUTH", settings.sentinel_username or "default", password.get_secret_value()])
        hello: list[Argument] = ["HELLO", 3]
        if "username" in known or "password" in known:
            hello += ["AUTH", known.get("username", "default"), known.get("password", "")]
        self._greeting = [hello, ["SELECT", known["db"]]] if known.get("db") else [hello]

    async def open(self) -> Connection:
        """A connection that may be asked."""
        place = await self._found() if self._sentinels else self._place
        try:
            async with asyncio.timeout(self._connect_s):
                return await self._greeted(place)
        except TimeoutError as exc:
            raise TimeoutError(str(exc) or f"no connection within {self._connect_s:g} s") from exc

    async def _greeted(self, place: Place) -> Connection:
        made = await self._dial(place, self._tls)
        try:
            for answer in await made.ask(self._greeting):
                if isinstance(answer, Refused):
                    raise answer
        except BaseException:
            made.close()
            raise
        return made

    async def _dial(self, place: Place, tls: SSLContext | None) -> Connection:
        loop = asyncio.get_running_loop()
        if self._path is not None and not self._sentinels:
            return (await loop.create_unix_connection(self._make, self._path))[1]
        return (await loop.create_connection(self._make, *place, ssl=tls))[1]

    async def _found(self) -> Place:
        """Where the primary is, as the first Sentinel says that knows; the next question goes to that one first."""
        failures = []
        for sentinel in tuple(self._sentinels):
            try:
                async with asyncio.timeout(self._connect_s):
                    answer = await self._asked(sentinel)
            except (OSError, TimeoutError) as exc:
                failures.append(f"{sentinel[0]}:{sentinel[1]}: {exc!r}")
                continue
            if isinstance(answer, list):
                self._sentinels.remove(sentinel)
                self._sentinels.insert(0, sentinel)
                return answer[0].decode(), int(answer[1])
            failures.append(f"{sentinel[0]}:{sentinel[1]}: {answer!r}")
        raise ConnectionError(f"no Sentinel knows a primary named {self._primary!r}: {'; '.join(failures)}")

    async def _asked(self, sentinel: Place) -> Any:
        made = await self._dial(sentinel, self._sentinel_tls)
        try:
            answers = await made.ask(self._question)
        finally:
            made.close()
        # a password that is not taken says more than what follows from it
        return next((one for one in answers if isinstance(one, Refused)), answers[-1])


def _parts(url: str) -> dict[str, Any]:
    try:
        known: dict[str, Any] = dict(parse_url(url))
    except ValueError as exc:
        raise WrongSetting(f"WEIR_REDIS_URL: {exc}") from exc
    if "path" not in known and "db" not in known and urlsplit(url).path.strip("/"):
        # the library takes it for 0, and another installation may have that; what stands there may be of a password
        raise WrongSetting("WEIR_REDIS_URL: what follows the port has to be the number of a database, as in "
                           "redis://127.0.0.1:6379/0")
    return known


def _tls(known: dict[str, Any]) -> SSLContext | None:
    """As the URL's `ssl_...` parts say; by default the store has to prove its name. Raises WrongSetting."""
    options = {name.removeprefix("ssl_"): value for name, value in known.items() if name.startswith("ssl_")}
    if known.get("connection_class") is not SSLConnection:
        if options:
            raise WrongSetting(f"WEIR_REDIS_URL: has ssl_{min(options)}, and without rediss:// there is no TLS")
        return None
    for name, value in options.items():
        if name not in _TLS_PARTS:
            raise WrongSetting(f"WEIR_REDIS_URL: there is no ssl_{name}; known are ssl_{', ssl_'.join(_TLS_PARTS)}")
        if name in _TLS_FILES and not Path(value).is_file():
            raise WrongSetting(f"WEIR_REDIS_URL: ssl_{name}: there is no file {value}")
    try:
        return RedisSSLContext(**{"cert_reqs": "required", "check_hostname": True, **options}).get()
    except (OSError, RedisError, TypeError, ValueError) as exc:
        raise WrongSetting(f"WEIR_REDIS_URL: its ssl_... parts cannot be used: {exc}") from exc
