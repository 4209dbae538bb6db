"""Traces by request id or trace id, and requests that have one.

In:    an id; what to look for.
Out:   the spans; requests.
Never: more than the built-in store holds.
"""

from dataclasses import asdict
from itertools import islice

from services.control.api import TRUTH, WHOLE, Call, Result, Route, limit, number, one_of, truth, up_to, whole
from services.control.faults import NotFound
from services.control.trace_store import Search, Seen
from shared.errors import InputInvalid

_USUAL, _MOST = 50, 1_000
_HOW = ("newest", "slowest")


async def trace(call: Call) -> Result:
    """All spans of one trace, by start."""
    found = call.desk.traces.find(call.path["id"])
    if found is None:
        raise NotFound(f"no trace for {call.path['id']!r}: the request was not sampled and was neither slow nor "
                       "answered by 500 or above, is older than the spans topic keeps, or its spans are on their way; "
                       "`weir tail --since 1h --no-follow` has a line for each request, with its id, status and reason")
    trace_id, rows, linked = found
    return Result({"trace_id": trace_id, "spans": [asdict(row) for row in rows],
                   "linked": [asdict(row) for row in linked]})


async def search(call: Call) -> Result:
    """Requests that have a trace."""
    query = call.query
    order = query.get("order", _HOW[0])
    if order not in _HOW:
        raise InputInvalid(f"order is one of {', '.join(_HOW)}, not {order[:40]!r}")
    wanted = Search(
        project=query.get("project"), operation=query.get("operation"), client=query.get("client"),
        status=_status(query.get("status")), errors=truth(call, "errors"),
        min_us=number(call, "min_ms", 0) * 1000, since_ms=number(call, "since", 0),
        until_ms=number(call, "until", None))
    most = limit(call, _USUAL, _MOST)
    found = call.desk.traces.search(wanted)
    if order == "slowest":
        rows = sorted(found, key=lambda seen: seen.duration_us, reverse=True)[:most]
    else:
        rows = list(islice(found, most))
    return Result({"traces": [_shown(seen) for seen in rows]})


def _shown(seen: Seen) -> dict[str, object]:
    return {"time": seen.start_us // 1000, "request_id": seen.request_id, "trace_id": seen.trace_id,
            "project": seen.project, "operation": seen.operation, "client": seen.client, "source": seen.source,
            "status": seen.status, "reason": seen.reason, "duration_ms": seen.duration_us / 1000,
            "failed": seen.failed, "late": seen.late}


def _status(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.lower().removesuffix("xx")
    found = whole(digits)
    if found is None or len(digits) not in (1, 3):
        raise InputInvalid(f"status is a status or a class, as in 502 or 5xx, not {text[:40]!r}")
    return found


ROUTES = (
    Route(method="GET", path="/traces", summary="Requests that have a trace", handler=search, query={
        "project": "Name", "operation": "Name", "client": "Name", "status": "As in 502, or 5xx",
        "errors": "true: those that failed", "min_ms": "Took at least so many milliseconds",
        "since": "Unix milliseconds, inclusive", "until": "Unix milliseconds, exclusive",
        "order": "newest (default) or slowest", "limit": f"At most so many, up to {_MOST}; default {_USUAL}"},
          forms={"status": {"type": "string", "pattern": "^[0-9]([0-9]{2})?([xX]{2})?$"}, "errors": TRUTH,
                 "min_ms": WHOLE, "since": WHOLE, "until": WHOLE, "order": one_of(_HOW), "limit": up_to(_MOST)}),
    Route(method="GET", path="/traces/{id}", summary="A trace, by request id or trace id", handler=trace),
)
