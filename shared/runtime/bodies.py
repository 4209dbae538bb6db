"""Bodies of answers from elsewhere.

In:    what arrives, piece by piece.
Out:   all of it, within a bound.
Never: more in memory than the bound and a byte.
"""

from aiohttp import StreamReader


async def whole(content: StreamReader, limit: int) -> bytes | None:
    """All bytes to the end; None when there are more than `limit`."""
    raw = bytearray(await content.read(limit + 1))
    # one read gives no more than what has arrived by then
    while len(raw) <= limit and not content.at_eof():
        raw += await content.read(limit + 1 - len(raw))
    return bytes(raw) if len(raw) <= limit else None
