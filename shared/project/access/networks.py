"""Is an address in one of many networks?

In:    networks in CIDR notation, IPv4 and IPv6.
Out:   `Networks`: a prefix tree; ten thousand networks cost one look-up.
Never: a name that would have to be resolved.
"""

import ipaddress
from collections.abc import Iterable

from radix import Radix


class BadNetwork(ValueError):
    """Not a network in CIDR notation."""


class Networks:
    """A set of networks."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Raises BadNetwork that names the first one which is none."""
        self._tree = Radix()
        for text in networks:
            self._tree.add(str(network_of(text)))

    def holds(self, address: bytes | None) -> bool:
        """Whether an address (in network byte order) is in one of the networks."""
        return address is not None and self._tree.search_best(packed=address) is not None


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network; one of mapped addresses (::ffff:10.0.0.0/104) is the IPv4 network. Raises BadNetwork."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise _bad(text) from None
    first = network.network_address
    if isinstance(first, ipaddress.IPv6Address) and first.ipv4_mapped is not None and network.prefixlen >= 96:
        return ipaddress.IPv4Network((first.ipv4_mapped, network.prefixlen - 96))
    return network


def _bad(text: str) -> BadNetwork:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return BadNetwork(f"{text!r} is no network; write an address or a range: 10.0.0.0/8, 2001:db8::/32")
    return BadNetwork(f"{text!r} has bits set behind its prefix; the network is {network}")
