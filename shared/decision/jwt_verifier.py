"""Signatures of JSON Web Tokens (RFC 7515, RFC 8725).

In:    a token, a key set.
Out:   its claims, once its signature is verified; before that, whom it says it is of.
Never: an algorithm that the token chooses: only those of the project, and only with a key of their type.
"""

import hashlib
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, SecurityWarning
from joserfc.jwk import Key, KeySet

from shared.project.access.authentication import Jwt

_KEY_TYPES = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}
# more are forgotten all together
_MAX_VERIFIED = 10_000


class _Verified(NamedTuple):
    """The claims of a token, and the key set that they were verified with."""

    keys: KeySet
    claims: Mapping[str, Any]


def said_issuer(token: str) -> object:
    """Whom a token says it is of: good for choosing what to verify it with. None where that cannot be read."""
    try:
        claims = orjson.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    except (ValueError, IndexError):
        return None
    return claims.get("iss") if isinstance(claims, dict) else None


class JwtVerifier:
    """Remembers what it has verified: a caller sends the same token again and again."""

    def __init__(self) -> None:
        """Nothing verified yet."""
        self._verified: dict[bytes, _Verified] = {}

    def claims(self, token: str, scheme: Jwt, keys: KeySet) -> Mapping[str, Any]:
        """The claims of a token with a good signature. Raises JoseError, ValueError, LookupError for an unknown key."""
        digest = hashlib.sha256(f"{scheme.jwks} {scheme.algorithms} {token}".encode()).digest()
        known = self._verified.get(digest)
        # what another key set has said counts no more: the token's key may have been withdrawn since
        if known is None or known.keys is not keys:
            header = jws.extract_compact(token.encode()).headers()
            algorithm = str(header.get("alg"))
            if algorithm not in scheme.algorithms:
                raise ValueError(f"algorithm {algorithm[:20]!r} is not one of {', '.join(scheme.algorithms)}")
            known = _Verified(keys, _verified_by_one_of(_fitting(keys, header.get("kid"), algorithm), token, algorithm))
            if len(self._verified) >= _MAX_VERIFIED:
                self._verified.clear()
            self._verified[digest] = known
        return known.claims


def _fitting(keys: KeySet, kid: object, algorithm: str) -> list[Key]:
    """Only keys of the algorithm's type: a public key must never serve as the secret of another algorithm."""
    return [key for key in keys if key.key_type == _KEY_TYPES[algorithm] and kid in (None, key.kid)]


def _verified_by_one_of(keys: Sequence[Key], token: str, algorithm: str) -> Mapping[str, Any]:
    if not keys:
        raise LookupError("no key fits")
    with warnings.catch_warnings():
        # RFC 9864 has given EdDSA another name; issuers still write the old one
        warnings.simplefilter("ignore", SecurityWarning)
        for key in keys[:-1]:
            try:
                return jwt.decode(token, key, algorithms=[algorithm]).claims
            except BadSignatureError:
                continue
        return jwt.decode(token, keys[-1], algorithms=[algorithm]).claims
