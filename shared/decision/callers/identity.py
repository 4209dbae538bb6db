"""Who somebody has proved to be.

In:    nothing.
Out:   `Identity`, how a 401 is worded, and which of several refusals is told.
Never: how it was proved.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from shared.errors import CredentialsExpired, CredentialsInvalid, Refused, Unavailable

CHALLENGE = {"WWW-Authenticate": "Bearer"}
INVALID_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Identity(Struct, frozen=True, kw_only=True):
    """A caller. `token`: the id of its token."""

    client: str
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = {}
    token: str = ""


def invalid(detail: str) -> CredentialsInvalid:
    """What came proves nothing."""
    return CredentialsInvalid(detail, headers=INVALID_CHALLENGE)


def expired(detail: str) -> CredentialsExpired:
    """What came was good once."""
    return CredentialsExpired(detail, headers=INVALID_CHALLENGE)


def graver(first: Refused | None, other: Refused | None) -> Refused | None:
    """Which of two refusals is told: the first one, unless the other says that a proof could not be looked at."""
    return other if first is None or (isinstance(other, Unavailable) and not isinstance(first, Unavailable)) else first
