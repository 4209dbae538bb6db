"""Where does a call come from?

In:    the address of the connection, what proxies say of it.
Out:   the caller's address; empty when a trusted proxy does not know it.
Never: belief in a header of anybody who is not a trusted proxy.
"""

from collections.abc import Sequence
from ipaddress import ip_address

from shared.project.access.facts import packed
from shared.project.access.networks import Networks


def client_ip(remote: str, chain: Sequence[str], proxies: Networks) -> str:
    """The nearest address that is not a trusted proxy's. `chain`: as the proxies have noted it, the caller first."""
    address = remote
    for hop in reversed(chain):
        if not proxies.holds(packed(address)):
            break
        address = _bare(hop)
    return address


def hops(x_forwarded_for: str) -> list[str]:
    """The entries of `X-Forwarded-For`."""
    return [entry.strip() for entry in x_forwarded_for.split(",") if entry.strip()]


def _bare(hop: str) -> str:
    """An address without its port; empty for `unknown` and for names that hide one (RFC 7239, 6)."""
    text = hop.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
