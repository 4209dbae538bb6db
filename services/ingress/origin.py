"""Where does a call come from?

In:    the address of the connection, what proxies say of it.
Out:   the caller's address; empty when a trusted proxy does not know it.
Never: belief in a header of anybody who is not a trusted proxy.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from shared.names import headers as H
from shared.project.access.facts import packed, unmapped
from shared.project.access.networks import Networks

_NAME = f"{H.TCHAR}++"
# a port behind a name needs quotes, and is written without them all the same
_VALUE = rf'{_NAME}(?::[0-9]{{1,5}})?|"(?:[^"\\]++|\\.)*+"'
_PAIR, _GAP = rf"(?:{_NAME}=(?:{_VALUE}))?", r"[ \t]*+"
_ELEMENT = re.compile(rf"{_GAP}(?:{_PAIR}{_GAP};{_GAP})*+{_PAIR}{_GAP}")
_PAIRS = re.compile(rf"({_NAME})=({_VALUE})")


def client_ip(remote: str, chain: Iterable[str], proxies: Networks) -> str:
    """The nearest address that is not a trusted proxy's. `chain`: as the proxies have noted it, the nearest first."""
    address, further = remote, iter(chain)
    while proxies.holds(packed(address)) and (hop := next(further, None)) is not None:
        address = _bare(hop)
    return address


def hops(x_forwarded_for: str) -> list[str]:
    """The entries of `X-Forwarded-For`, the nearest first."""
    return [entry.strip() for entry in reversed(x_forwarded_for.split(",")) if entry.strip()]


def forwarded_for(fields: Sequence[str]) -> Iterator[str]:
    """Whom each element of `Forwarded` (RFC 7239) is for, the nearest first; empty where it is not said, or unreadable.

    They are read from the end, where the nearest proxy has written. What stands before may be the caller's own text: a
    quote in it that nobody closes must not swallow what the proxy says.
    """
    for field in reversed(fields):
        end = len(field)
        while end > 0:
            start = field.rfind(",", 0, end)
            while (element := _ELEMENT.fullmatch(field, start + 1, end)) is None and start >= 0:
                # that comma may stand inside of quotes
                start = field.rfind(",", 0, start)
            if element is None:
                yield ""
                return
            if element[0].strip():
                named = [value for name, value in _PAIRS.findall(element[0]) if name.lower() == "for"]
                yield named[0] if len(named) == 1 else ""
            end = start


def _bare(hop: str) -> str:
    """An address without its port, IPv4 never as IPv6; empty for `unknown` and names that hide one (RFC 7239, 6)."""
    text = hop.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(unmapped(text))
    except ValueError:
        return ""
