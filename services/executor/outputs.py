"""How large is what a step gives?

In:    an output.
Out:   its size as JSON.
Never: an output that could not be written down: whoever reads it later would fail in a place that says nothing.

Pure.
"""

from typing import Any

import orjson

from shared.errors import WorkflowFailed
from shared.project.written import LARGEST, SMALLEST, to_json

_PLAIN = (bool, float, type(None))
# of a text of ASCII: `\u001f`, and what stands around it
_LONGEST_CHARACTER, _QUOTES = 6, 2


def size_of(value: Any) -> int:
    """Bytes, for what is no text, array or object only about so many. Raises WorkflowFailed for what is no JSON."""
    if isinstance(value, _PLAIN) or (isinstance(value, int) and SMALLEST <= value <= LARGEST):
        return 8
    try:
        return len(to_json(value))
    except orjson.JSONEncodeError as exc:
        raise WorkflowFailed(f"what the step gives is no JSON: {exc}", kind="output-unusable") from None


def check_size(value: Any, limit: int) -> None:
    """Raises WorkflowFailed: output-too-large, output-unusable."""
    # short texts of ASCII fit, however they are written down
    if not (type(value) is str and value.isascii() and _LONGEST_CHARACTER * len(value) + _QUOTES <= limit):
        check_sum(size_of(value), limit)


def check_sum(size: int, limit: int) -> None:
    """Raises WorkflowFailed: output-too-large."""
    if size > limit:
        raise WorkflowFailed(f"the output has {size} bytes, the limit is {limit} (WEIR_EXECUTOR_MAX_OUTPUT_BYTES)",
                             kind="output-too-large")
