"""A value of a workflow as JSON.

In:    what an expression, a script or a connector gives.
Out:   the bytes.
Never: a value that JSON holds written in another way.

JSONata computes with the numbers of JavaScript, and gives one beyond 64 bits as a whole number of Python's, which the
library does not write: it is written as the number that it was, as JavaScript does.

Pure.
"""

from typing import Any

import orjson

# whole numbers that the library writes
SMALLEST, LARGEST = -(2**63), 2**64 - 1
# deeper ones are not written at all
_DEPTH = 256


def to_json(value: Any) -> bytes:
    """Raises orjson.JSONEncodeError for what is no JSON: half of a character, a value that is nested too deep."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # most have no such number, and are looked at once
        return orjson.dumps(_fitting(value, _DEPTH))


def _fitting(value: Any, depth: int) -> Any:
    if isinstance(value, dict) and depth:
        return {name: _fitting(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple) and depth:
        return [_fitting(item, depth - 1) for item in value]
    if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        try:
            return float(value)
        except OverflowError:
            return value
    return value
