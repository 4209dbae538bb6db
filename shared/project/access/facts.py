"""What rules look at.

In:    a call, as far as it is known once the caller is.
Out:   `Facts`; costly ones are worked out when a rule first asks.
Never: an opinion.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from msgspec import Struct

from shared.project.pointers import names_in, pointer_to


class Missing:
    """Stands for a value that is not there; JSON's null is one that is."""


MISSING = Missing()
_UNREAD = Missing()


class Facts(Struct, kw_only=True):
    """Header names are lower case; `ip` is empty for a caller from the internal topic; `token`: the id of its token.

    `bound`: what an expression language has made of them (`cel.py`).
    """

    operation: str
    method: str
    now_ms: int
    source: str = "internal"
    client: str = ""
    token: str = ""
    roles: frozenset[str] = frozenset()
    ip: str = ""
    headers: Mapping[str, str] = {}
    query: Mapping[str, list[str]] = {}
    path: Mapping[str, str] = {}
    claims: Mapping[str, Any] = {}
    body: bytes = b""
    authenticated: bool = False
    bound: Any = None
    _document: Any = _UNREAD
    _address: Any = _UNREAD

    @property
    def document(self) -> Any:
        """The body as JSON; MISSING when there is none or it is not JSON."""
        if self._document is _UNREAD:
            try:
                self._document = orjson.loads(self.body) if self.body else MISSING
            except orjson.JSONDecodeError:
                self._document = MISSING
        return self._document

    @property
    def read_document(self) -> Any:
        """The body as JSON where a rule has asked for it; else MISSING."""
        return MISSING if self._document is _UNREAD else self._document

    @property
    def address(self) -> bytes | None:
        """The address in network byte order, an IPv4 one that is mapped into IPv6 as IPv4; None without any."""
        if self._address is _UNREAD:
            self._address = packed(self.ip)
        address: bytes | None = self._address
        return address


@lru_cache(maxsize=20_000)
def unmapped(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address, IPv4 never as IPv6 (RFC 4291, 2.5.5.2). Raises ValueError."""
    address = ipaddress.ip_address(ip)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=20_000)
def spelled(ip: str) -> str:
    """An address in its one spelling, IPv4 never as IPv6; what is no address stays as it is."""
    try:
        return str(unmapped(ip))
    except ValueError:
        return ip


def packed(ip: str) -> bytes | None:
    """An address in network byte order; None for what is no address."""
    try:
        return unmapped(ip.partition("%")[0]).packed
    except ValueError:
        return None


def part_of(document: Any, pointer: str) -> Any:
    """The value at a JSON pointer (RFC 6901), or MISSING."""
    here = document
    for key in names_in(pointer):
        if isinstance(here, dict) and key in here:
            here = here[key]
        elif isinstance(here, list) and key.isascii() and key.isdigit() and int(key) < len(here):
            here = here[int(key)]
        else:
            return MISSING
    return here


def shown(value: Any, most: int) -> str:
    """The first characters of a value, for a person; a caller may nest one deeper than it can be written."""
    try:
        return str(value)[:most]
    except RecursionError:
        return "nested too deep to be shown"


def claim_pointer(name: str) -> str:
    """The JSON pointer of a claim: its name, or the pointer to one inside others."""
    return name if name.startswith("/") else pointer_to([name])
