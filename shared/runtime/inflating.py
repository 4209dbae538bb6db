"""Bodies that came packed (RFC 9110, 8.4.1).

In:    a body, how it is coded.
Out:   what was packed, within a bound.
Never: a part of it taken for the whole.

Pure.
"""

import zlib

# what zlib has to know to read one; `deflate` is often sent without the head that it should have
_GZIP, _DEFLATE, _HEADLESS = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _DEFLATE}
# what follows a member is copied for each; whoever writes one for every 64 KiB has fewer
_MOST_MEMBERS = 100


def inflated(raw: bytes, coding: str, limit: int) -> bytes | None:
    """What was packed; None for more than `limit` bytes. `coding`: one of `CODINGS`. Raises ValueError, whose text says
    what is wrong with it."""
    window = CODINGS[coding]
    if window == _DEFLATE and raw[0] & 0xF != zlib.DEFLATED:
        window = _HEADLESS
    found, rest = bytearray(), raw
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(window)
        try:
            found += member.decompress(rest, limit + 1 - len(found))
        except zlib.error:
            raise ValueError("is not coded as it says") from None
        if len(found) > limit:
            return None
        if not member.eof:
            raise ValueError("is cut off")
        # some pad it with zeros
        rest = member.unused_data.lstrip(b"\0") if window == _GZIP else b""
        if not rest:
            return bytes(found)
    raise ValueError(f"has more than {_MOST_MEMBERS} members")
