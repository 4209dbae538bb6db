"""What may be said of a path that led to no operation. Pure.

In:    the raw path of a request.
Out:   its class: how it looks, without what could be somebody's secret.
Never: a segment that is more than plain words.

Paths carry secrets (`/reset/8f3a...`), names and numbers of people. What scanners try is plain words (`/wp-login.php`,
`/.git/config`), so those stand as they are, three segments at most. Any other segment is `*` and eight bits of a
checksum: enough to tell whether it was always the same one, too little to tell which.
"""

import re
import zlib

# a word is short, and three of them are no secret of a usual length
_PLAIN = re.compile(r"\.?[a-z]{1,12}([._-][a-z]{1,12}){0,2}")
_SEGMENTS = 3


def path_class(path: str) -> str:
    """`/reset/8f3a91?x=1` becomes `/reset/*c4`; a path with more segments ends in `/...`."""
    segments = path.partition("?")[0].split("/")[1:]
    kept = [segment if _PLAIN.fullmatch(segment) or not segment else _veiled(segment)
            for segment in segments[:_SEGMENTS]]
    return "/" + "/".join(kept) + ("/..." if len(segments) > _SEGMENTS else "")


def _veiled(segment: str) -> str:
    return f"*{zlib.crc32(segment.encode(errors='replace')) & 0xff:02x}"
