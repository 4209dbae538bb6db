"""JSON Web Tokens of issuers that the project trusts (RFC 7519, RFC 8725).

In:    the sealed token, the issuer's key set.
Out:   the client and roles that its claims name; 401; 503 while the keys are not there.
Never: an algorithm that the token chooses: only those of the project, and only with a key of their type.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from joserfc.errors import JoseError

from shared.decision.book import GuardedProject, PolicyBook
from shared.decision.callers.identity import Identity, expired, graver, invalid
from shared.decision.case import Case
from shared.decision.jwt_verifier import said_issuer
from shared.errors import Refused, Unavailable
from shared.project.access.authentication import Jwt
from shared.project.access.facts import MISSING, claim_pointer, part_of

_MAX_CLIENT = 200


def by_jwt(case: Case) -> Identity | Refused | None:
    """The caller that a token's claims name."""
    token = case.sealed.get("jwt")
    if token is None or case.project is None or "jwt" not in case.kinds:
        return None
    refusal: Refused | None = None
    for scheme in _fitting(case.project.authentication.jwt, token):
        found = _by(case, scheme, token)
        if isinstance(found, Identity):
            return found
        refusal = graver(refusal, found)
    return refusal or _of_nobody()


def _fitting(schemes: Sequence[Jwt], token: str) -> Sequence[Jwt]:
    """Those of the issuer that the token names. A single one is tried as it is: most tokens were verified before."""
    if len(schemes) == 1:
        return schemes
    issuer = said_issuer(token)
    return [scheme for scheme in schemes if scheme.issuer == issuer]


def as_claimed(book: PolicyBook, project: GuardedProject, claims: Mapping[str, Any],
               unnamed: str | None) -> Identity | Refused:
    """Whom a good token with these claims would name; `unnamed`: the caller, where they leave that open.

    Without `iss` it is a token of the project's first issuer.
    """
    for scheme in project.authentication.jwt:
        if claims.get("iss", scheme.issuer) == scheme.issuer:
            return _identity(book, project.name, claims, scheme, unnamed)
    return _of_nobody()


def _by(case: Case, scheme: Jwt, token: str) -> Identity | Refused:
    vault = case.book.vault
    keys = vault.key_sets.get(scheme.jwks)
    try:
        if keys is None:
            raise LookupError
        claims = case.book.jwt.claims(token, scheme, keys)
    except LookupError:
        if said_issuer(token) != scheme.issuer:
            return _of_nobody()
        case.wanted_keys = scheme.jwks
        return (Unavailable("the keys of the token's issuer are not there yet; try again shortly",
                            headers={"Retry-After": "2"}) if keys is None or scheme.jwks in vault.fetching
                else invalid("the token is signed with a key that its issuer does not publish"))
    except (JoseError, ValueError) as exc:
        return invalid(f"the token cannot be verified: {str(exc)[:200]}")
    return _fits(claims, scheme, case.now_ms) or _identity(case.book, case.request.project, claims, scheme)


def _of_nobody() -> Refused:
    return invalid("the token is of no issuer that this API trusts")


def _fits(claims: Mapping[str, Any], scheme: Jwt, now_ms: int) -> Refused | None:
    if claims["iss"] != scheme.issuer:
        return _of_nobody()
    audience = claims["aud"]
    if not set(audience if isinstance(audience, list) else [audience]) & set(scheme.audience):
        return invalid("the token is meant for another audience")
    if claims["exp"] * 1000 + scheme.clock_skew_ms <= now_ms:
        return expired("the token has expired")
    if claims.get("nbf", 0) * 1000 - scheme.clock_skew_ms > now_ms:
        return invalid("the token is not valid yet")
    return None


def _identity(book: PolicyBook, project: str, claims: Mapping[str, Any], scheme: Jwt,
              unnamed: str | None = None) -> Identity | Refused:
    client = part_of(claims, claim_pointer(scheme.client))
    if client is MISSING and unnamed is not None:
        client = unnamed
    if not isinstance(client, str) or not 0 < len(client) <= _MAX_CLIENT:
        return invalid(f"the token's claim {scheme.client!r} does not name a caller")
    if scheme.roles is None:
        return Identity(client=client, roles=book.roles(project, client), claims=claims)
    said = part_of(claims, claim_pointer(scheme.roles))
    named = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
    return Identity(client=client, roles=frozenset(role for role in named if isinstance(role, str)), claims=claims)
