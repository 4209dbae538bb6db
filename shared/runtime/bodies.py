"""Bodies from elsewhere.

In:    what arrives, piece by piece.
Out:   all of it, within a bound.
Never: more of it kept than the bound.
"""

from collections.abc import Callable

from aiohttp import StreamReader


async def whole(content: StreamReader, limit: int, came: Callable[[int], object] = lambda size: None) -> bytes | None:
    """All bytes to the end; None when there are more than `limit`. `came` hears how many each piece has, before it is
    kept; it may raise."""
    body = bytearray()
    try:
        while piece := await content.readany():
            if len(body) + len(piece) > limit:
                return None
            came(len(piece))
            body += piece
        return bytes(body)
    finally:
        # the reader keeps its error, and that this frame: they go when somebody looks for cycles, long after
        body.clear()
