"""Signatures of JSON Web Tokens (RFC 7515, RFC 8725).

In:    a token, a key set.
Out:   its claims, of the types that RFC 7519 gives them, once its signature is verified; before that, whom it says it
       is of.
Never: an algorithm that the token chooses: only those of the project, and only with a key of their type.
"""

import hashlib
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from json import JSONDecoder
from typing import Any, NamedTuple

import orjson
from joserfc import jwt
from joserfc.errors import BadSignatureError, SecurityWarning
from joserfc.jwk import Key, KeySet
from joserfc.jws import JWSRegistry

from shared.project.access.authentication import Jwt

# what an algorithm takes: type and curves of a key
_KEYS = {"RS256": ("RSA", (None,)), "ES256": ("EC", ("P-256",)), "EdDSA": ("OKP", ("Ed25519", "Ed448")),
         "Ed25519": ("OKP", ("Ed25519",))}
# more are forgotten all together
_MAX_VERIFIED = 10_000
# keys that one token is tried with: far more than issuers have in use at a time, and a few milliseconds for a bad one
_MOST_TRIED = 20
# far more than issuers nest, and less than what rules and limits could not write as a text
_MAX_DEPTH = 100


class _Claims(JSONDecoder):
    """JSON and nothing else (RFC 8259): no NaN, no Infinity, no half of a character, no endless depth."""

    def decode(self, s: str) -> Any:  # type: ignore[override]  # of its spaces nobody wants to know
        """What the text says."""
        return orjson.loads(s)


class _Registry(JWSRegistry):
    """Headers as long as a chain of certificates (`x5c`) makes them; no HTTP header is longer."""

    max_header_length = 8_192


# of a header's members those that nobody here knows are ignored (RFC 7515, 4); `crit` names those that may not be
_REGISTRIES = {name: _Registry(algorithms=[name], strict_check_header=False) for name in _KEYS}


class _Verified(NamedTuple):
    """The claims of a token, and the key set that they were verified with."""

    keys: KeySet
    claims: Mapping[str, Any]


def said_issuer(token: str) -> object:
    """Whom a token says it is of: good for choosing what to verify it with. None where that cannot be read."""
    try:
        claims = _part(token, 1)
    except (ValueError, IndexError):
        return None
    return claims.get("iss") if isinstance(claims, dict) else None


def _part(token: str, index: int) -> Any:
    """What stands between its points, 0 the header, 1 the claims. Raises ValueError, IndexError."""
    return orjson.loads(urlsafe_b64decode(token.split(".")[index] + "=="))


class JwtVerifier:
    """Remembers what it has verified: a caller sends the same token again and again."""

    def __init__(self) -> None:
        """Nothing verified yet."""
        self._verified: dict[bytes, _Verified] = {}

    def claims(self, token: str, scheme: Jwt, keys: KeySet) -> Mapping[str, Any]:
        """The claims of a token with a good signature: `iss`, `aud` and `exp` are there.

        Raises JoseError, ValueError, LookupError for an unknown key.
        """
        digest = hashlib.sha256(f"{scheme.jwks} {scheme.algorithms} {token}".encode()).digest()
        known = self._verified.get(digest)
        # what another key set has said counts no more: the token's key may have been withdrawn since
        if known is None or known.keys is not keys:
            header = _header(token)
            algorithm = str(header.get("alg"))
            if algorithm not in scheme.algorithms:
                raise ValueError(f"algorithm {algorithm[:20]!r} is not one of {', '.join(scheme.algorithms)}")
            claims = _verified_by_one_of(_fitting(keys, header.get("kid"), algorithm), token, algorithm)
            _check(claims)
            known = _Verified(keys, claims)
            if len(self._verified) >= _MAX_VERIFIED:
                self._verified.clear()
            self._verified[digest] = known
        return known.claims


def _header(token: str) -> Mapping[str, Any]:
    """What a token says of itself before its signature is looked at. Raises ValueError."""
    header = _part(token, 0)
    if not isinstance(header, dict) or _is_deep(header, _MAX_DEPTH):
        raise ValueError(f"its header is no object, or nested more than {_MAX_DEPTH} levels deep")
    if "crit" in header:
        raise ValueError("its header asks for extensions (`crit`), and none is known here")
    return header


def _fitting(keys: KeySet, kid: object, algorithm: str) -> list[Key]:
    """Only keys that are for the algorithm: a public key must never serve as the secret of another one, and a key that
    cannot verify must not hide the one that does from a token that names none."""
    return [key for key in keys if kid in (None, key.kid) and _is_for(key, algorithm)]


def _is_for(key: Key, algorithm: str) -> bool:
    kind, curves = _KEYS[algorithm]
    return (key.key_type == kind and key.get("crv") in curves and key.get("alg") in (None, algorithm)
            and "verify" in (key.get("key_ops") or ("verify",)))


def _verified_by_one_of(keys: Sequence[Key], token: str, algorithm: str) -> Mapping[str, Any]:
    if not keys:
        raise LookupError("no key fits")
    if len(keys) > _MOST_TRIED:
        raise ValueError(f"its issuer publishes {len(keys)} keys that it may be signed with; name one (`kid`) that is "
                         f"published once: no more than {_MOST_TRIED} are tried")
    registry = _REGISTRIES[algorithm]
    with warnings.catch_warnings():
        # RFC 9864 has given EdDSA another name; issuers still write the old one
        warnings.simplefilter("ignore", SecurityWarning)
        for key in keys[:-1]:
            try:
                return jwt.decode(token, key, registry=registry, decoder_cls=_Claims).claims
            except BadSignatureError:
                continue
        return jwt.decode(token, keys[-1], registry=registry, decoder_cls=_Claims).claims


def _check(claims: Mapping[str, Any]) -> None:
    """The types of those claims that decide whether a token is taken (RFC 7519, 4.1). Raises ValueError."""
    if _is_deep(claims, _MAX_DEPTH):
        raise ValueError(f"its claims are nested more than {_MAX_DEPTH} levels deep")
    audience = claims.get("aud")
    if not isinstance(claims.get("iss"), str):
        raise ValueError("its `iss` is missing, or no text: it names no issuer")
    if not all(isinstance(one, str) for one in (audience if isinstance(audience, list) else [audience])):
        raise ValueError("its `aud` is missing, or neither a text nor a list of texts")
    for name, otherwise in (("exp", None), ("nbf", 0), ("iat", 0)):
        value = claims.get(name, otherwise)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"its `{name}` is missing, or no number")


def _is_deep(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deep(one, levels - 1) for one in inner)
