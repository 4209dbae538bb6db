"""Which addresses may be called. Pure.

In:    addresses, as written in a URL or as a name was resolved to them.
Out:   AddressRefused for private ones that the settings do not list.
Never: a name looked up: `guarded.py` does that.

A workflow's URL may come from its caller, a webhook's from the owner of a project. Without this they could reach what
only this machine can: metadata services, admin pages, neighbours (server-side request forgery, OWASP API7:2023).
"""

import ipaddress
from collections.abc import Sequence

from shared.project.access.facts import packed
from shared.project.access.networks import Networks

# IPv6 addresses that carry IPv4 ones (translators would lead to those), and what sites once used for themselves
_CARRIERS = Networks(["64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96",
                      "fec0::/10", "3fff::/20", "5f00::/16"])
# look public, the first to releases of Python before the spring of 2024 alone: what protocols of the IETF
# are given (RFC 6890; Oracle tells its machines about themselves there), and where Azure tells each of its own
_LOCAL = Networks(["192.0.0.0/24", "168.63.129.16/32"])


class AddressRefused(OSError):
    """The address is private, and not among those that may be called."""


class Addresses:
    """`allowed`: private networks that may be called all the same."""

    def __init__(self, allowed: Sequence[str]) -> None:
        """Raises BadNetwork."""
        self._allowed = Networks(allowed)

    def refuses(self, text: str) -> bool:
        """Whether an address may not be called; what is no address is refused, too."""
        address = packed(text)
        if address is None:
            return True
        if self._allowed.holds(address):
            return False
        found = ipaddress.ip_address(address)
        return not found.is_global or found.is_multicast or _CARRIERS.holds(address) or _LOCAL.holds(address)

    def check_literal(self, host: str) -> None:
        """A host that is written as an address is not resolved, so it is checked here. Raises AddressRefused.

        Nor is one in brackets resolved by us that is no address (IPvFuture, RFC 3986, 3.2.2): it may be a name.
        """
        if (":" in host or packed(host) is not None) and self.refuses(host):
            raise AddressRefused(host)
