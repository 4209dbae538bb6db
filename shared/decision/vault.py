"""What the verification of credentials needs to know.

In:    the cluster's key, secrets of signatures, key sets as they were fetched.
Out:   `Vault`.
Never: I/O: whoever fetches puts it in here. A secret in a text that is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from joserfc.jwk import KeySet

from shared.contracts.sealed import Seal
from shared.project.base import SECRETS


@dataclass(slots=True)
class Vault:
    """`secrets` by name; `key_sets` by the address they come from; `fetching`: addresses that are being asked now."""

    seal: Seal | None = field(default=None, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    key_sets: dict[str, KeySet] = field(default_factory=dict, repr=False)
    fetching: set[str] = field(default_factory=set, repr=False)

    @classmethod
    def of(cls, seal: Seal | None, environment: Mapping[str, str]) -> Self:
        """`environment` holds the secrets of signatures as WEIR_SECRET_<name>."""
        return cls(seal, {name.removeprefix(SECRETS): value for name, value in environment.items()
                          if name.startswith(SECRETS)})
