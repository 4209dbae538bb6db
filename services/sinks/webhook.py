"""Post batches to a webhook, until it takes them.

In:    bodies and their message ids.
Out:   HTTP requests signed by Standard Webhooks 1.0.0.
Never: a batch given up; a redirect followed: the signature is for the address that was configured.
"""

import asyncio
import logging
import random
from collections.abc import Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

from services.sinks.cloud_events import MEDIA
from services.sinks.settings import SinkSettings
from shared.clock import Clock
from shared.contracts import webhook
from shared.errors import Unavailable
from shared.names import actions
from shared.runtime.webhooks import told, why
from shared.settings.wrong import WrongSetting

log = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.5
_GONE = 410


class WebhookGone(Unavailable):
    """The webhook says that it is no more: somebody has to look."""


def keys_of(secrets: str) -> list[bytes]:
    """Keys of secrets as Standard Webhooks writes them, of the length that it asks for. Raises ValueError."""
    try:
        found = webhook.keys_of(secrets)
    except ValueError as exc:
        raise WrongSetting(f"WEIR_SINK_SECRET: {exc}") from None
    if any(not 24 <= len(key) <= 64 for key in found):
        raise WrongSetting("WEIR_SINK_SECRET: a secret is whsec_ and 24 to 64 bytes in base64")
    if not found:
        raise WrongSetting("WEIR_SINK_SECRET is not set; the receiver verifies each batch by it")
    return found


def pause_s(tried: int, asked: str | None, longest: float, chance: float) -> float:
    """How long to wait after so many tries: twice as long each time, less a part by chance; as the webhook asks, but
    not without a pause."""
    if asked is not None and asked.isascii() and asked.isdecimal():
        return min(max(float(asked), _FIRST_PAUSE_S), longest)
    return float(min(_FIRST_PAUSE_S * 2.0 ** min(tried - 1, 30), longest) * (1 - chance / 4))


class Webhook:
    """One address."""

    def __init__(self, settings: SinkSettings, clock: Clock) -> None:
        """Raises ValueError for an address or a secret that cannot be."""
        if not settings.url.startswith(("http://", "https://")):
            raise WrongSetting(f"WEIR_SINK_URL is {settings.url[:80]!r}, not a URL of http or https")
        self._keys = keys_of(settings.secret.get_secret_value() if settings.secret is not None else "")
        self._settings, self._clock = settings, clock
        self._http: ClientSession | None = None
        # why the last try failed
        self.trouble: str | None = None

    async def start(self) -> None:
        """Nothing is sent yet."""
        self._http = ClientSession(timeout=ClientTimeout(total=self._settings.timeout_s), cookie_jar=DummyCookieJar())

    async def stop(self) -> None:
        """Close connections."""
        if self._http is not None:
            await self._http.close()

    async def deliver(self, message_id: str, body: bytes) -> None:
        """Return once the webhook has taken it. Raises WebhookGone."""
        tried = 0
        while True:
            status, asked, said = await self._try(webhook.signed(
                self._keys, message_id, self._clock.now_ms() // 1000, body), body)
            if 200 <= status < 300:
                self.trouble = None
                return
            if status == _GONE:
                raise WebhookGone("the webhook answers 410: it is no more. What it has not taken waits on the topic; "
                                  "start the sink again when it has an address")
            tried += 1
            self.trouble = f"try {tried}: {said}"
            wait = pause_s(tried, asked, self._settings.max_pause_s, random.random())
            log.warning("the webhook has not taken message %s, %s; again in %.1f s", message_id, self.trouble, wait,
                        extra={"action": actions.SINK_WAITS})
            await asyncio.sleep(wait)

    async def _try(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None, str]:
        if self._http is None:
            raise RuntimeError("not started")
        try:
            async with self._http.post(self._settings.url, data=body, allow_redirects=False, headers={
                    **headers, "Content-Type": MEDIA, "User-Agent": "weir-sink"}) as answer:
                return answer.status, answer.headers.get("Retry-After"), f"answer {await told(answer)}"
        except (ClientError, TimeoutError, OSError, ValueError) as exc:
            return 0, None, why(exc, self._settings.url)
