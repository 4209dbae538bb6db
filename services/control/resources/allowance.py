"""Allowances of a project: what is spent, what is left; raising and resetting them.

In:    a project, a name, whose amount.
Out:   a row per amount; an `Adjustment` on the config topic, for the period that is now.
Never: a counter changed: what has been counted stays counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
from pydantic import Field

from services.control.api import TRUTH, Body, Call, NotTrue, Result, Route, truth
from services.control.faults import NotFound
from services.control.forecast import spent_at
from services.control.resources.clients import check_client
from shared.contracts.config import Adjustment, to_value
from shared.decision.allowances import EACH, CompiledAllowance
from shared.errors import InputInvalid
from shared.project.base import Name
from shared.store.allowances import spent

# of a record on the config topic
_MAX_BYTES = 900_000


class Whose(Body):
    """Which allowance, and whose amount: without a name the only one, without client and operation each."""

    name: Name | None = None
    client: Annotated[str, Field(max_length=200)] | None = None
    operation: Name | None = None


class Raise(Whose):
    """How many tasks more may be spent until the period ends; fewer, if the number is negative."""

    by: Annotated[int, Field(ge=-10**12, le=10**12), NotTrue]


async def show_allowance(call: Call) -> Result:
    """What is spent and left, the fullest first."""
    now_ms = call.desk.clock.now_ms()
    rows: list[dict[str, Any]] = []
    for one in _allowances(call):
        period = one.calendar.at(now_ms)
        if truth(call, "last"):
            period = one.calendar.at(period[0] - 1)
        rows += await _rows(call, one, period, now_ms)
    return Result(sorted(rows, key=lambda row: -row["percent"]))


async def raise_allowance(call: Call) -> Result:
    """Let more be spent in this period; in force within a second."""
    one = _named(call)
    subject = _subject(call, one)
    async with call.desk.registry.changing() as write:
        known = _adjustment(call, one)
        raised = {**known.raised, subject or EACH: known.raised.get(subject or EACH, 0) + call.body.by}
        await write(_bounded(replace(known, raised=raised)), f"raise allowance by {call.body.by}: {subject or EACH}")
    return await _told(call, one, subject)


async def reset_allowance(call: Call) -> Result:
    """Forget what has been spent in this period; in force within a second."""
    one = _named(call)
    subject = _subject(call, one)
    async with call.desk.registry.changing() as write:
        known = _adjustment(call, one)
        amounts = await spent(call.desk.store, one.key(known.start))
        forgiven = {**known.forgiven, **amounts} if subject is None else {
            **known.forgiven, subject: amounts.get(subject, 0)}
        await write(_bounded(replace(known, forgiven=forgiven)), f"reset allowance: {subject or EACH}")
    return await _told(call, one, subject)


def _allowances(call: Call) -> tuple[CompiledAllowance, ...]:
    guarded = call.desk.book.project(call.path["project"])
    if guarded is None:
        raise NotFound(f"there is no project {call.path['project']!r}; `weir apply` makes one")
    return guarded.allowances


def _named(call: Call) -> CompiledAllowance:
    known = {one.allowance.label: one for one in _allowances(call)}
    if call.body.name is None and len(known) == 1:
        return next(iter(known.values()))
    found = known.get(call.body.name or "")
    if not known:
        raise NotFound(f"project {call.path['project']!r} has no allowance; `allowance` in its weir.yaml makes one")
    if found is None:
        raise NotFound(f"project {call.path['project']!r} has no allowance {call.body.name!r}; `allowance` in its "
                       f"weir.yaml has {', '.join(known)}" if call.body.name is not None
                       else f"say which allowance: {', '.join(known)}")
    return found


def _subject(call: Call, one: CompiledAllowance) -> str | None:
    """None stands for each of them."""
    allowance, whose, project = one.allowance, call.body, call.path["project"]
    given = {side for side in ("client", "operation") if getattr(whose, side) is not None}
    if given - set(allowance.sides):
        raise InputInvalid(f"allowance {allowance.label!r} is not kept by {' and '.join(sorted(given))}: "
                           + (f"it is by {' and '.join(allowance.sides)}" if allowance.sides else "it is one amount"))
    if given and given != set(allowance.sides):
        raise InputInvalid(f"allowance {allowance.label!r} is kept by {' and '.join(allowance.sides)}: name both")
    if allowance.sides and not given:
        return None
    if whose.client:
        check_client(call, project, whose.client)
    guarded = call.desk.book.project(project)
    if whose.operation and guarded is not None and whose.operation not in guarded.operations:
        raise NotFound(f"project {project!r} has no operation {whose.operation!r}")
    return one.subject(whose.client or "", whose.operation or "")


def _adjustment(call: Call, one: CompiledAllowance) -> Adjustment:
    """What has been changed in this period."""
    now_ms, label = call.desk.clock.now_ms(), one.allowance.label
    start, _ = one.calendar.at(now_ms)
    known = call.desk.registry.catalogue.adjustments.get((one.project, label))
    if known is None or known.start != start:
        return Adjustment(project=one.project, name=label, start=start, time=now_ms)
    return replace(known, time=now_ms)


def _bounded(made: Adjustment) -> Adjustment:
    if len(to_value(made)) > _MAX_BYTES:
        raise InputInvalid("too many clients have an amount of their own here; name one of them")
    return made


async def _told(call: Call, one: CompiledAllowance, subject: str | None) -> Result:
    now_ms = call.desk.clock.now_ms()
    rows = await _rows(call, one, one.calendar.at(now_ms), now_ms, subject)
    return Result([row for row in rows if subject is None or row["subject"] == orjson.loads(subject)])


async def _rows(call: Call, one: CompiledAllowance, period: tuple[int, int], now_ms: int,
                wanted: str | None = None) -> list[dict[str, Any]]:
    day_start, _ = one.days.at(now_ms)
    amounts = await spent(call.desk.store, one.key(period[0]))
    today = await spent(call.desk.store, one.day_key(day_start))
    adjustment = call.desk.book.adjustment(one.project, one.allowance.label)
    subjects = {*amounts, *_known(one), *(() if wanted is None else (wanted,))}
    rows = []
    for subject in sorted(subjects):
        grant = one.grant_of(subject, period, adjustment)
        used = max(0, amounts.get(subject, 0) - grant.forgiven)
        rows.append({
            **_row(one, subject), "tasks": grant.tasks, "spent": used, "left": max(0, grant.tasks - used),
            "percent": 100 * used // grant.tasks if grant.tasks else 100, "at_limit": one.allowance.at_limit,
            "forgiven": grant.forgiven, "since": period[0], "until": period[1], "today": today.get(subject, 0),
            **_forecast(grant.tasks - used, today.get(subject, 0), {
                "day_start": day_start, "now_ms": now_ms, "end": period[1]}, one.allowance.zone)})
    return rows


def _known(one: CompiledAllowance) -> Iterator[str]:
    """Subjects that are known before they have spent anything."""
    if not one.allowance.sides:
        yield "[]"
    elif one.allowance.sides == ("client",):
        yield from (one.subject(client, "") for client in one.allowance.tasks_of)


def _row(one: CompiledAllowance, subject: str) -> dict[str, Any]:
    names = orjson.loads(subject)
    whose = dict(zip(one.allowance.sides, names, strict=True))
    return {"allowance": one.allowance.label, "per": one.allowance.per, "zone": one.allowance.zone, "subject": names,
            "client": whose.get("client"), "operation": whose.get("operation")}


def _forecast(left: int, today: int, times: Mapping[str, int], zone: str) -> dict[str, Any]:
    at = spent_at(left, today, **times) if times["now_ms"] < times["end"] else None
    day = None if at is None else datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).date().isoformat()
    return {"spent_at": at, "spent_on": day}


ROUTES = (
    Route(method="GET", path="/projects/{project}/allowance", summary="What is spent of allowances, and what is left",
          handler=show_allowance, query={"last": "`true`: the period before the one that is now"},
          forms={"last": TRUTH}),
    Route(method="POST", path="/projects/{project}/allowance/raise", summary="Let more be spent in this period",
          handler=raise_allowance, body=Raise),
    Route(method="POST", path="/projects/{project}/allowance/reset", summary="Forget what was spent in this period",
          handler=reset_allowance, body=Whose),
)
