"""What steps take of a value: asked of a constant at validation, and of every value when its step runs. Pure.

In:    a value without expressions.
Out:   what the step uses; BadValue, whose text says what to write instead.
Never: an expression, a setting of the process.
"""

import base64
import re
from datetime import datetime
from typing import Any

from yarl import URL

from shared.names.headers import TCHAR
from shared.names.topics import NAMES

# of a URL, what stands before its path: a host has 253 characters at the most, and a longer one takes long to be read
_AUTHORITY, _LONGEST_AUTHORITY = re.compile("[^/?#]*"), 10_000
_MEDIA_TYPE = re.compile(rf"{TCHAR}+/{TCHAR}+[ \t]*(;[\t -~]*)?")
# unix ms of the year 10000
_FAR_MS = 253_402_300_800_000
# what the store counts with
_SMALLEST, _LARGEST = -2**63, 2**63 - 1


class BadValue(ValueError):
    """A value with which a step can only fail."""


def url_of(text: str) -> URL:
    """The absolute URL that an http step calls. Raises BadValue."""
    try:
        authority = _AUTHORITY.match(text.partition("://")[2])
        if authority is not None and len(authority[0]) > _LONGEST_AUTHORITY:
            raise ValueError("no host is so long")
        url = URL(text)
        url.origin()
    except (ValueError, TypeError) as exc:
        raise BadValue("the URL of an http step is not absolute: it begins with http:// or https:// and names a "
                       "host") from exc
    if url.scheme not in ("http", "https"):
        raise BadValue(f"an http step calls http and https, not {url.scheme[:20]}")
    return url


def check_proxy(text: str) -> None:
    """Raises BadValue."""
    try:
        url_of(text)
    except BadValue:
        raise BadValue("the proxy of an http step is a URL that begins with http:// or https:// and names a host, as "
                       "in http://proxy.example:3128") from None


def bytes_of(text: str, where: str) -> bytes:
    """What base64 says; `where`: the setting that has it. Raises BadValue."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise BadValue(f"`{where}` of an http step is not base64: {exc}") from exc


def unix_ms_of(value: Any) -> int:
    """The end of a delay, unix milliseconds. Raises BadValue."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        # one that no note can hold is as far away as any
        return int(max(-_FAR_MS, min(value, _FAR_MS)))
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadValue("`until` is a time with its zone, like 2030-01-31T08:00:00Z, or an expression that gives unix "
                       f"milliseconds, not {str(value)[:80]!r}")
    return int(found.timestamp() * 1000)


def whole_number_of(value: Any) -> int:
    """What `increment` adds; nothing stands for 1. Raises BadValue."""
    value = 1 if value is None else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadValue(f"increment takes a whole number, not {str(value)[:80]!r}")
    if not _SMALLEST <= value <= _LARGEST:
        raise BadValue(f"increment takes a number of 64 bits, not {value}"[:120])
    return value


def media_type_of(text: str) -> str:
    """What a `content-type` says (RFC 9110, 8.3). Raises BadValue."""
    if _MEDIA_TYPE.fullmatch(text) is None:
        raise BadValue("`content-type` of a reply is a media type, like text/plain or text/csv; charset=utf-8, not "
                       f"{text[:80]!r}")
    return text


def check_loop_over(value: Any) -> None:
    """Raises BadValue for what has no items and no members; over nothing a loop has no pass."""
    if value is not None and not isinstance(value, dict | list):
        kind = "a text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "a number"
        raise BadValue(f"a loop goes over an array or an object, not over {kind}")


def is_own_topic(topic: str) -> bool:
    """Whether a topic is one of Weir's own, to which no workflow publishes."""
    return topic in NAMES or topic.startswith("weir.")
