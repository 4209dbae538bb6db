"""Messages to the webhooks that project owners name.

In:    an address, the name of a secret, a message.
Out:   a signed POST. Raises NotTaken when the webhook has not taken it.
Never: a second try: whoever sends knows what is still worth saying. A redirect followed: the signature is for the
       address that was written down. A private address that the settings do not list.
"""

from collections.abc import Mapping

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from shared.clock import Clock
from shared.contracts.webhook import MEDIA, keys_of, signed
from shared.errors import Unavailable
from shared.runtime import guarded
from shared.runtime.addresses import Addresses, AddressRefused

_TIMEOUT_S = 10
_SHOWN = 200


async def told(answer: ClientResponse) -> str:
    """The status, and how the body of what is no success begins. The status counts, whatever becomes of the body."""
    if 200 <= answer.status < 300:
        return str(answer.status)
    try:
        text = (await answer.content.read(_SHOWN)).decode(errors="replace")
    except (ClientError, TimeoutError, OSError):
        text = ""
    return f"{answer.status} {text}".strip()


def why(error: Exception, url: str) -> str:
    """What has gone wrong, without what may be secret in an address: aiohttp repeats it whole."""
    try:
        written = URL(url)
        shown = str(written.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return type(error).__name__
    text = str(error)
    for spelling in (url, str(written), str(written.with_user(None)), str(written.with_user(None).with_fragment(None))):
        text = text.replace(spelling, shown)
    return f"{type(error).__name__}: {text}"


class NotTaken(Unavailable):
    """The webhook did not answer, or not with 2xx; may not be called; or there is no secret to sign with."""


class Webhooks:
    """One HTTP client for all of them. `secrets` by name, as `Vault` has them."""

    def __init__(self, secrets: Mapping[str, str], addresses: Addresses, clock: Clock) -> None:
        """Nothing is connected yet."""
        self._secrets, self._addresses, self._clock = secrets, addresses, clock
        self._http: ClientSession | None = None

    async def start(self) -> None:
        """Ready to send."""
        # no bound on connections, of which each webhook has one at a time: those that wait for an answer in vain would
        # leave none for the others
        self._http = ClientSession(connector=guarded.connector(self._addresses, limit=0), cookie_jar=DummyCookieJar(),
                                   timeout=ClientTimeout(total=_TIMEOUT_S))

    async def stop(self) -> None:
        """Close connections."""
        if self._http is not None:
            await self._http.close()

    async def post(self, url: str, secret: str, message_id: str, body: bytes) -> None:
        """Send one message. Raises NotTaken."""
        assert self._http is not None
        headers = {**signed(self._keys(secret), message_id, self._clock.now_ms() // 1000, body),
                   "Content-Type": MEDIA, "User-Agent": "weir"}
        try:
            self._addresses.check_literal(URL(url).host or "")
            async with self._http.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    raise NotTaken(f"the webhook answers {await told(answer)}")
        except (ClientError, TimeoutError, OSError, ValueError) as exc:
            if isinstance(exc, AddressRefused) or isinstance(exc.__cause__, AddressRefused):
                raise NotTaken("the webhook's address is a private one, and not in a network of "
                               "WEIR_ANALYTICS_ALLOW_NETWORKS") from exc
            raise NotTaken(f"the webhook does not answer: {why(exc, url)}") from exc

    def _keys(self, secret: str) -> list[bytes]:
        try:
            keys = keys_of(self._secrets.get(secret, ""))
        except ValueError as exc:
            raise NotTaken(f"WEIR_SECRET_{secret}: {exc}") from exc
        if not keys:
            raise NotTaken(f"there is no secret to sign with (WEIR_SECRET_{secret})")
        return keys
