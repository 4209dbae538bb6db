"""Do broker and store of this machine answer a question?

In:    which of both, its port.
Out:   why it does not, or None.
Never: a connection taken for an answer: the system takes those of a server that hangs, too.
"""

import asyncio

# the shortest one that each protocol has: which versions it knows, whether it is there
_QUESTIONS = {"kafka": b"\0\0\0\x0a\0\x12\0\0\0\0\0\1\xff\xff", "valkey": b"PING\r\n"}
_PATIENCE_S = 3.0


async def why_silent(name: str, port: int) -> str | None:
    """`name`: of the process."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(_QUESTIONS[name])
                if await reader.read(1):
                    return None
            finally:
                writer.close()
    except TimeoutError:
        return f"it takes connections and has not answered for {_PATIENCE_S:g} s: it hangs, or has far too much to do"
    except OSError:
        pass
    return "its port does not answer"
