"""Messages to webhooks: signals as CloudEvents 1.0, signed by Standard Webhooks 1.0.0. Pure.

In:    a signal; a body, keys.
Out:   the body of a message; the headers that prove who has sent it.
Never: sending; a key in a text that is shown.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import orjson

from shared.contracts.signal import Signal

MEDIA = "application/cloudevents+json"
_PREFIX = "whsec_"


def keys_of(secrets: str) -> list[bytes]:
    """Keys of secrets by spaces, `whsec_` and base64 each; several sign side by side. Raises ValueError."""
    found = []
    for secret in secrets.split():
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not key or not secret.startswith(_PREFIX):
            raise ValueError(f"a secret is {_PREFIX} and base64")
        found.append(key)
    return found


def signed(keys: Sequence[bytes], message_id: str, time_s: int, body: bytes) -> dict[str, str]:
    """The headers of a message; a receiver that knows any of the keys can verify it."""
    content = f"{message_id}.{time_s}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys)
    return {"webhook-id": message_id, "webhook-timestamp": str(time_s),
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures)}


def signal_event(signal: Signal, message_id: str) -> bytes:
    """A signal as an event of type `weir.signal.v1`; its data is the signal as it stands on the topic."""
    at = datetime.fromtimestamp(signal.time / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps({
        "specversion": "1.0", "id": message_id, "source": f"/weir/{signal.project}", "type": "weir.signal.v1",
        "subject": f"{signal.kind}/{signal.subject}", "time": at, "datacontenttype": "application/json",
        "data": asdict(signal)})
