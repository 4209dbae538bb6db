"""Who somebody has proved to be.

In:    nothing.
Out:   `Identity`, and how a 401 is worded.
Never: how it was proved.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from shared.errors import CredentialsExpired, CredentialsInvalid

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
