"""Server-sent events: how parts of an answer look to an HTTP caller.

In:    parts of an answer.
Out:   their bytes, as the HTML standard, 9.2.5 and 9.2.6, has them.
Never: an event without an id: `<execution>/<sequence>`.
"""

from shared.contracts.reply import ReplyRecord

# a comment: whoever reads events passes over it, whoever closes idle connections does not
HEARTBEAT = b":\n\n"
ERROR, END = "error", "end"


def event_of(part: ReplyRecord, request_id: str) -> bytes:
    """One event."""
    lines = [f"event: {part.event}".encode(), f"id: {request_id}/{part.sequence}".encode()]
    # a line break of any kind ends a field
    lines += [b"data: " + line for line in part.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")]
    return b"\n".join(lines) + b"\n\n"
