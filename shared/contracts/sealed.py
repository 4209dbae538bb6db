"""Secrets that have to be verified further in, sealed under the cluster's key.

In:    a mapping of texts, the request (or the place in the configuration) they belong to.
Out:   one opaque text, and back.
Never: a text that opens for another request: the request's id is authenticated with it.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits, base64url: nonce, ciphertext, tag.
"""

import base64
import binascii
import os
from collections.abc import Mapping

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
KEY_BYTES = 32


class SealBroken(ValueError):
    """Not sealed under this key for this request."""


class Seal:
    """Closes under the first of its keys, opens under any: so a key can be replaced."""

    def __init__(self, keys: str) -> None:
        """`keys`: by commas, each 32 bytes as base64url. Raises ValueError."""
        self._ciphers = [_cipher(key.strip()) for key in keys.split(",")]

    def close(self, secrets: Mapping[str, str], request_id: str) -> str:
        """Seal for one request."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._ciphers[0].encrypt(nonce, orjson.dumps(dict(secrets)), request_id.encode())
        return base64.urlsafe_b64encode(sealed).decode()

    def open(self, text: str, request_id: str) -> dict[str, str]:
        """Raises SealBroken."""
        for cipher in self._ciphers:
            try:
                sealed = base64.urlsafe_b64decode(text)
                plain = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], request_id.encode())
                found: dict[str, str] = orjson.loads(plain)
            except (binascii.Error, ValueError, InvalidTag):
                continue
            return found
        raise SealBroken("not sealed under this key for this request")


def _cipher(key: str) -> AESGCM:
    try:
        raw = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ValueError("the cluster key (WEIR_CLUSTER_KEY) is 32 random bytes as base64url; make one with: "
                         "python -c 'import secrets; print(secrets.token_urlsafe(32))'")
    return AESGCM(raw)
