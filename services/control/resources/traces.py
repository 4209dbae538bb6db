"""Traces by request id or trace id.

In:    an id.
Out:   the spans.
Never: more than the built-in store holds.
"""

from dataclasses import asdict

from services.control.api import Call, Result, Route
from services.control.faults import NotFound


async def trace(call: Call) -> Result:
    """All spans of one trace, by start."""
    found = call.desk.traces.find(call.path["id"])
    if found is None:
        raise NotFound(f"no trace for {call.path['id']!r}: the request was not sampled, is older than the spans topic "
                       "keeps, or its spans are on their way")
    trace_id, rows = found
    return Result({"trace_id": trace_id, "spans": [asdict(row) for row in rows]})


ROUTES = (
    Route(method="GET", path="/traces/{id}", summary="A trace, by request id or trace id", handler=trace),
)
