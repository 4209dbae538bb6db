"""An issuer of JSON Web Tokens, and a sender of signed messages."""

import base64
import hashlib
import hmac
import warnings
from typing import Any

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey


class Issuer:
    """Has one key per algorithm."""

    def __init__(self, name: str = "https://id.example") -> None:
        self.name = name
        self.keys: dict[str, Key] = {
            "RS256": RSAKey.generate_key(2048, {"kid": f"{name}-rsa"}),
            "ES256": ECKey.generate_key("P-256", {"kid": f"{name}-ec"}),
            "EdDSA": OKPKey.generate_key("Ed25519", {"kid": f"{name}-okp"})}
        self.keys["Ed25519"] = self.keys["EdDSA"]

    @property
    def published(self) -> dict[str, Any]:
        """The key set as it is published."""
        return {"keys": [key.as_dict(private=False) for name, key in self.keys.items() if name != "Ed25519"]}

    @property
    def key_set(self) -> KeySet:
        return KeySet.import_key_set(self.published)  # type: ignore[arg-type]  # a plain dictionary

    def token(self, now_ms: int, algorithm: str = "ES256", header: dict[str, Any] | None = None,
              **claims: Any) -> str:
        key = self.keys[algorithm]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            said = {"alg": algorithm, "kid": key.kid, **(header or {})}
            return jwt.encode({name: value for name, value in said.items() if value is not None}, {
                "iss": self.name, "aud": "weir", "sub": "shop", "exp": now_ms // 1000 + 300, **claims}, key,
                algorithms=[algorithm])


def signed(secret: str, message_id: str, timestamp_s: int | str, body: bytes) -> str:
    """The value of `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
