"""Who somebody has proved to be.

In:    nothing.
Out:   `Identity`, and how a 401 is worded.
Never: how it was proved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import CredentialsExpired, CredentialsInvalid

CHALLENGE = {"WWW-Authenticate": "Bearer"}
INVALID_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A caller. `token`: the id of its token."""

    client: str
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict)
    token: str = ""


def invalid(detail: str) -> CredentialsInvalid:
    """What came proves nothing."""
    return CredentialsInvalid(detail, headers=INVALID_CHALLENGE)


def expired(detail: str) -> CredentialsExpired:
    """What came was good once."""
    return CredentialsExpired(detail, headers=INVALID_CHALLENGE)
