"""Usage, as analytics counted it.

In:    a range, dimensions, filters.
Out:   rows, read where analytics keeps its counters; a verification, asked for over `weir.queries`.
Never: counting.
"""

import asyncio
from typing import Any

import orjson

from services.control.api import TRUTH, Call, Form, Result, Route, number, one_of, truth, up_to
from services.control.resources.projects import known_project
from shared.contracts.query import DIMENSIONS, GRANULARITIES, MAX_ROWS, MEASURES, UsageQuery, columns, to_csv
from shared.errors import InputInvalid, TimedOut, Unavailable
from shared.names import topics
from shared.names.headers import JSON
from shared.store.redis import StoreUnavailable
from shared.usage.ranges import LAST_MS

_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
_PING_S = 0.5
_CSV = "text/csv"


async def usage(call: Call) -> Result:
    """Requests, tasks, bytes and times of one project."""
    known_project(call)
    return await _usage(call)


async def usage_of_all(call: Call) -> Result:
    """The same over all projects."""
    return await _usage(call)


async def _usage(call: Call) -> Result:
    form = call.query.get("format", "json")
    if form not in ("json", "csv"):
        raise InputInvalid(f"format is json or csv, not {form[:40]!r}")
    query = _query(call, _DAY_MS, {
        "by": _names(call.query.get("by", "operation,client,status" if "project" in call.path else "project")),
        "where": {name: _names(call.query[name]) for name in DIMENSIONS if name in call.query},
        "per": call.query.get("per"), "order": call.query.get("order", "requests"),
        "top": number(call, "top", 1_000), "skip": number(call, "skip", 0),
        "compare": truth(call, "compare")})
    answer = await _read(call, query)
    if form == "csv":
        rows = orjson.loads(answer)["rows"]
        return Result(to_csv(rows, columns(query.by, per=query.per is not None)), media=_CSV)
    return Result(orjson.Fragment(answer))


async def verify(call: Call) -> Result:
    """The counters beside a recount of the topic."""
    known_project(call)
    return await _verify(call)


async def verify_all(call: Call) -> Result:
    """The same over all projects."""
    return await _verify(call)


async def _verify(call: Call) -> Result:
    return Result(await _ask(call, _query(call, _HOUR_MS, {"ask": "verify"})))


def _query(call: Call, back_ms: int, members: dict[str, Any]) -> UsageQuery:
    until_ms = number(call, "until", call.desk.clock.now_ms() + 60_000)
    since_ms = number(call, "since", max(0, until_ms - back_ms))
    if since_ms > until_ms:
        raise InputInvalid("since is after until: the range would end before it begins")
    for name, known in (("by", DIMENSIONS), ("per", GRANULARITIES), ("order", MEASURES)):
        given = members.get(name) or ()
        for one in [given] if isinstance(given, str) else given:
            if one not in known:
                raise InputInvalid(f"{name} is of {', '.join(known)}, not {one[:40]!r}")
    top = members.get("top", 1)
    if not 1 <= top <= MAX_ROWS:
        raise InputInvalid(f"top is a number from 1 to {MAX_ROWS}, not {top}")
    return UsageQuery.from_json(orjson.dumps({
        "project": call.path.get("project"), "since_ms": since_ms, "until_ms": until_ms, **members}))


async def _read(call: Call, query: UsageQuery) -> bytes:
    timeout_ms = call.desk.query_timeout_ms
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            return await call.desk.queries.answer(query)
    except TimeoutError:
        raise TimedOut(f"no answer within {timeout_ms} ms: {await _why(call)}") from None


async def _why(call: Call) -> str:
    """A store that hangs looks from here as one that has much to read."""
    try:
        async with asyncio.timeout(_PING_S):
            await call.desk.store.ping()
    except (TimeoutError, StoreUnavailable):
        return "the store does not answer, and counters are read from there; look whether it hangs"
    return ("the store answers, so there is much to read; ask for a shorter range, or for fewer dimensions, or give it "
            "more time (WEIR_CONTROL_QUERY_TIMEOUT_MS)")


async def _ask(call: Call, query: UsageQuery) -> dict[str, Any]:
    reply = await call.desk.caller.ask(topics.QUERIES, query.to_json(), lambda address: address.to_headers(),
                                       call.desk.verify_timeout_ms)
    answer: dict[str, Any] = orjson.loads(reply.body)
    if reply.status == InputInvalid.status:
        raise InputInvalid(str(answer.get("detail", "analytics refuses the query")))
    if reply.status != 200:
        raise Unavailable(f"analytics answered {reply.status}: {answer.get('title')}: {answer.get('detail')}")
    return answer


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


_NAMES = f"({'|'.join(DIMENSIONS)})"
_RANGE_FORMS = dict.fromkeys(("since", "until"), up_to(LAST_MS, 0))
_FORMS: dict[str, Form] = {**_RANGE_FORMS, "by": {"type": "string", "pattern": f"^({_NAMES}(,{_NAMES})*)?$"},
          "per": one_of(GRANULARITIES), "top": up_to(MAX_ROWS), "skip": up_to(2**31 - 1, 0),
          "order": one_of(MEASURES), "compare": TRUTH, "format": one_of(("json", "csv"))}
_RANGE = {"since": "Unix milliseconds, inclusive; default: one day (of a verification: one hour) before `until`",
          "until": "Unix milliseconds, exclusive; default: now"}
_USAGE: dict[str, str] = {
    **_RANGE, "by": f"Dimensions to keep apart, by commas: {', '.join(DIMENSIONS)}",
    **{name: f"Only where the {name} is one of these, by commas; `*` and `?` stand for any characters"
       for name in DIMENSIONS},
    "per": f"A row for each bucket of time: {', '.join(GRANULARITIES)} (UTC)",
    "top": f"So many groups at most, up to {MAX_ROWS}", "skip": "Leave out the first ones",
    "order": f"By which measure, most first: {', '.join(MEASURES)}",
    "compare": "true: each row with `before`, the range of the same length before", "format": "json or csv"}

ROUTES = (
    Route(method="GET", path="/usage", summary="Usage of all projects", handler=usage_of_all,
          query=_USAGE, medias=(JSON, _CSV), forms=_FORMS),
    Route(method="GET", path="/projects/{project}/usage", summary="Usage of a project", handler=usage, query=_USAGE,
          medias=(JSON, _CSV), forms=_FORMS),
    Route(method="GET", path="/usage/verify", summary="Counters beside a recount of the topic, all projects",
          handler=verify_all, query=_RANGE, forms=_RANGE_FORMS),
    Route(method="GET", path="/projects/{project}/usage/verify",
          summary="A project's counters beside a recount of the topic", handler=verify, query=_RANGE,
          forms=_RANGE_FORMS),
)
