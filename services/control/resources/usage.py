"""Usage of a project, as analytics counted it.

In:    a range, dimensions.
Out:   rows; asked for over `weir.queries`, like any internal service would.
Never: counting.
"""

import orjson

from services.control.api import Call, Result, Route
from shared.contracts.query import DIMENSIONS, UsageQuery
from shared.errors import InputInvalid, Unavailable
from shared.names import topics

_DAY_MS = 86_400_000


async def usage(call: Call) -> Result:
    """Requests, tasks and bytes of a project."""
    now_ms = call.desk.clock.now_ms()
    until_ms = _number(call, "until", now_ms + 60_000)
    by = tuple(filter(None, call.query.get("by", ",".join(DIMENSIONS)).split(",")))
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown:
        raise InputInvalid(f"by may name {', '.join(DIMENSIONS)}; not {', '.join(unknown)}")
    query = UsageQuery(project=call.path["project"], since_ms=_number(call, "since", until_ms - _DAY_MS),
                       until_ms=until_ms, by=by)
    reply = await call.desk.caller.ask(topics.QUERIES, query.to_json(), lambda address: address.to_headers(),
                                       call.desk.query_timeout_ms)
    if reply.status != 200:
        raise Unavailable(f"analytics answered {reply.status}: {reply.body[:500].decode(errors='replace')}")
    return Result(orjson.loads(reply.body))


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    if not text.isdigit() or len(text) > 15:
        raise InputInvalid(f"{name} is unix milliseconds, not {text[:40]!r}")
    return int(text)


ROUTES = (
    Route(method="GET", path="/projects/{project}/usage", summary="Usage of a project", handler=usage, query={
        "since": "Unix milliseconds, inclusive; default: one day before `until`",
        "until": "Unix milliseconds, exclusive; default: now",
        "by": "Dimensions to keep apart: operation, client, status; default: all"}),
)
