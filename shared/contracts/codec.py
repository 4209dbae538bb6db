"""Reading record headers: bytes in, typed values out, one error for whatever is wrong.

In:    header pairs as a Kafka client delivers them; values may be null, keys may repeat.
Out:   text, numbers, JSON; `BadRecord` that names the header.
Never: a default for a value that is there but malformed.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, cast

import msgspec
import orjson
from msgspec import Meta

from shared.errors import BadRecord

HeaderPairs = Sequence[tuple[str, bytes]]
HeaderMap = Mapping[str, bytes]
JsonObject = dict[str, Any]
T = TypeVar("T")
MAX_NAME = 200
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
TIMING = msgspec.json.Decoder(dict[str, int])
TEXT_BY_NAME = msgspec.json.Decoder(dict[str, str])


def header_map(pairs: Sequence[tuple[str, bytes | None]]) -> HeaderMap:
    """Header pairs as a mapping; of a key sent twice the first value counts, a null value counts as absent."""
    return {key: value for key, value in reversed(pairs) if value is not None}


def text(headers: HeaderMap, key: str) -> str | None:
    """A UTF-8 header, or None when it is absent."""
    value = headers.get(key)
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise BadRecord(f"header {key} is not UTF-8: {exc.reason} at byte {exc.start}") from exc


def texts(headers: HeaderMap, keys: Sequence[str]) -> dict[str, str]:
    """Those of some UTF-8 headers that are there: one pass, for a record has many."""
    try:
        return {key: value.decode() for key in keys if (value := headers.get(key)) is not None}
    except UnicodeDecodeError:
        # names the header
        return {key: found for key in keys if (found := text(headers, key)) is not None}


def required(headers: HeaderMap, key: str) -> str:
    """A UTF-8 header that has to be there and not empty."""
    value = text(headers, key)
    if not value:
        raise BadRecord(f"header {key} is missing; every record on this topic carries it")
    return value


def named(key: str, value: str | None) -> str:
    """A required header that names something; bounded, because names go into answers, events and logs."""
    if not value:
        raise BadRecord(f"header {key} is missing; every record on this topic carries it")
    if len(value) > MAX_NAME:
        raise BadRecord(f"header {key} has {len(value)} characters, at most {MAX_NAME} make a name")
    return value


def integer(headers: HeaderMap, key: str) -> int | None:
    """A header of 1 to 18 ASCII digits, or None when it is absent."""
    value = headers.get(key)
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise BadRecord(f"header {key} is not a decimal number: {value[:40]!r}")
    return int(value)


def json_object(headers: HeaderMap, key: str) -> JsonObject | None:
    """A header that holds a JSON object, or None when it is absent."""
    value = headers.get(key)
    return None if value is None else load_object(value, f"header {key}")


def decoded(headers: HeaderMap, key: str, decoder: msgspec.json.Decoder[T]) -> T | None:
    """A header that holds JSON of a given shape, or None when it is absent."""
    value = headers.get(key)
    return None if value is None else decode(value, decoder, f"header {key}")


def decode(data: bytes | None, decoder: msgspec.json.Decoder[T], what: str) -> T:
    """JSON of a given shape; `what` names it in the error."""
    try:
        return decoder.decode(data or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRecord(f"{what} is not what the AsyncAPI document says: {exc}") from exc


def load_object(data: bytes | None, what: str) -> JsonObject:
    """Parse a JSON object; `what` names it in the error."""
    value = load(data, what)
    if not isinstance(value, dict):
        raise BadRecord(f"{what} is not a JSON object")
    return cast(JsonObject, value)


def load(data: bytes | None, what: str) -> Any:
    """Parse JSON; `what` names it in the error."""
    if data is None:
        raise BadRecord(f"{what} is empty; JSON is expected")
    try:
        return orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError) as exc:
        raise BadRecord(f"{what} is not JSON: {exc}") from exc
