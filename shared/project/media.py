"""Media types of bodies.

In:    a `Content-Type`.
Out:   whether such a body is JSON.
Never: a look at the body.

Whoever limits a body, checks it or hands it to a workflow asks here: what one of them reads as JSON is JSON to all.

Pure.
"""

from functools import lru_cache

from shared.names.headers import JSON

_JSON = frozenset({JSON, "text/json"})


@lru_cache(maxsize=1_000)
def is_json(content_type: str | None) -> bool:
    """As browsers tell it (WHATWG MIME Sniffing, 4.6), whatever its case and parameters; a body without a type is."""
    media = (content_type or JSON).partition(";")[0].strip().lower()
    return media in _JSON or media.endswith("+json")
