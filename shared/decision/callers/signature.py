"""Messages signed by the Standard Webhooks specification (standardwebhooks.com, 1.0.0).

In:    webhook-id and webhook-timestamp, the sealed webhook-signature, the body.
Out:   the client whose secret has signed; 401; 503 while its secret is not set.
Never: a message taken twice: its id is demanded once from the amounts, and given back only when nothing came of it.
"""

import base64
import binascii
import hashlib
import hmac

from shared.decision.callers.identity import Identity, expired, invalid
from shared.decision.case import Case
from shared.errors import Refused, Unavailable
from shared.project.access.authentication import Signature
from shared.project.access.budgets import Demand, Kind

_PREFIX = "whsec_"
_MAX_ID = 200


def by_signature(case: Case) -> Identity | Refused | None:
    """The client that has signed this message."""
    signatures, http = case.sealed.get("signature"), case.request.http
    if signatures is None or http is None or case.project is None or "signature" not in case.kinds:
        return None
    message_id, timestamp = http.headers.get("webhook-id", ""), http.headers.get("webhook-timestamp", "")
    if not 0 < len(message_id) <= _MAX_ID or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        return invalid("a signed message has the headers webhook-id and webhook-timestamp (unix seconds)")
    signed = f"{message_id}.{timestamp}.".encode() + case.request.body
    missing: Refused | None = None
    for scheme in case.project.authentication.signature:
        secrets = case.book.vault.secrets.get(scheme.secret, "").split()
        if not secrets:
            missing = missing or Unavailable(f"the secret {scheme.secret} to verify this message with is not set "
                                             f"(WEIR_SECRET_{scheme.secret})")
        if any(_is_signed(signed, signatures, secret) for secret in secrets):
            return _in_time(case, scheme, message_id, int(timestamp) * 1000)
        if not all(map(_is_secret, secrets)):
            missing = missing or Unavailable(f"the secret {scheme.secret} to verify this message with is no {_PREFIX} "
                                             f"and base64 (WEIR_SECRET_{scheme.secret}; several with spaces between)")
    return missing or invalid("no signature of this message fits")


def _is_secret(secret: str) -> bool:
    """Whether it means the same key to whoever reads it."""
    text = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        return bool(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError):
        return False


def _is_signed(signed: bytes, signatures: str, secret: str) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX) + "==")
    except (binascii.Error, ValueError):
        return False
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return bool(key) and any(hmac.compare_digest(f"v1,{expected}".encode(), one.encode()) for one in signatures.split())


def _in_time(case: Case, scheme: Signature, message_id: str, time_ms: int) -> Identity | Refused:
    if time_ms < case.now_ms - scheme.tolerance_ms:
        return expired("the message was signed too long ago; sign it anew when it is sent again")
    if time_ms > case.now_ms + scheme.tolerance_ms:
        return invalid("the message was signed in the future; look at the sender's clock")
    subject = hashlib.blake2b(f"{scheme.client}\0{message_id}".encode(), digest_size=16).hexdigest()
    # what it starts may run for longer than a message is good for
    forget_ms = max(time_ms + 2 * scheme.tolerance_ms, case.until_ms)
    case.once = Demand(f"weir:seen:{case.request.project}:{subject}", Kind.ONCE, 1, 0, forget_ms, 1, True, "webhook-id")
    return Identity(client=scheme.client, roles=case.book.roles(case.request.project, scheme.client))
