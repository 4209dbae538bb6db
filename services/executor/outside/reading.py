"""What outside systems say, as values that a step can give. Pure.

In:    header fields, bodies, codings, charsets, as they came.
Out:   headers by name, bodies without their codings, texts, JSON.
Never: half a character, which no output can hold; a codec of Python's own in the place of a charset; a part of a body
       taken for the whole.
"""

import codecs
from collections.abc import Iterable
from typing import Any

import orjson

from shared.runtime.inflating import CODINGS, inflated

# no charsets, though Python takes their names: some fail always, one takes 20 s for a megabyte, some give half
# characters, and the others read no text
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7",
                          "base64", "bz2", "hex", "quopri", "rot-13", "uu", "zlib"})

# anything else that stands there is no coding, as `utf-8`: the body is as it was meant
_UNASKED = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})
_MOST_CODINGS = 3


def text_of_header(value: str) -> str:
    """A field as aiohttp gives it: bytes that are no UTF-8 stand as surrogates in it, and are Latin-1 then."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode(errors="surrogateescape").decode("latin-1")
    return value


def headers_of(fields: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    """By their names in lower case. One that comes several times is one (RFC 9110, 5.3), its values behind commas;
    `set-cookie` is the exception: its values have commas in them, and several are a list."""
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name.lower(), []).append(text_of_header(value))
    return {name: values if name == "set-cookie" and len(values) > 1 else ", ".join(values)
            for name, values in found.items()}


def decoded(raw: bytes, coding: str, limit: int) -> bytes | None:
    """A body without what `content-encoding` says of it; None for more than `limit` bytes. Raises ValueError, whose
    text says what is wrong with it."""
    names = [name for name in map(str.strip, coding.lower().split(",")) if name in CODINGS or name in _UNASKED]
    found: bytes | None = raw
    for count, name in enumerate(reversed(names)):
        if not found:
            break
        if name in _UNASKED or count == _MOST_CODINGS:
            raise ValueError(f"is coded as {', '.join(names)[:80]}, which was not asked for")
        found = inflated(found, name, limit)
    return found


def text_of(raw: bytes, charset: str | None) -> str:
    """A body; as UTF-8 where its charset is not told or not known. What cannot be read becomes U+FFFD."""
    return raw.decode(_codec(charset), errors="replace")


def json_of(raw: bytes, charset: str | None) -> Any:
    """A body; None for an empty one. JSON is UTF-8 whatever is told (RFC 8259, 8.1), and only what is none is read in
    its charset. Raises ValueError."""
    if not raw:
        return None
    try:
        return orjson.loads(raw.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError:
        codec = _codec(charset)
        if codec == "utf-8":
            raise
        return orjson.loads(raw.decode(codec))


def _codec(charset: str | None) -> str:
    """By its name in Python; utf-8 for what is no charset."""
    try:
        name = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if name in _NO_CHARSETS else name
