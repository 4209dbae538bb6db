"""What is spent of allowances, and when that is worth saying. Pure.

In:    configuration; usage events that are new; tasks spent.
Out:   what the ledger has to add; signals at thresholds.
Never: a decision about a call: policy reads the same numbers and takes it.

An allowance counts from the moment at which analytics knows it; a period that has begun before is not made up for.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from services.analytics.fold import Folded
from services.analytics.ledger import Addition
from shared.contracts.catalogue import Catalogue
from shared.contracts.config import Adjustment, Entity, OfVersions, ProjectVersion
from shared.contracts.signal import Signal
from shared.contracts.usage import UsageEvent
from shared.decision.allowances import CompiledAllowance, Grant, compile_allowances
from shared.project.model import Project
from shared.project.webhook import Webhook
from shared.usage.buckets import MINUTE_MS

DETECTOR = "allowance"
# as long as the counters by day
_KEEP_S, _KEEP_DAY_S = 400 * 86_400, 3 * 86_400
Spender = tuple[str, str, str, int]


class Spot(NamedTuple):
    """An allowance in a period."""

    project: str
    label: str
    period: tuple[int, int]


class Spending:
    """The allowances in force."""

    def __init__(self) -> None:
        """None yet."""
        self._catalogue = Catalogue()
        self._in_force: dict[str, tuple[CompiledAllowance, ...]] = {}
        # of those projects that have any
        self._allowances: dict[str, tuple[CompiledAllowance, ...]] = {}

    def take(self, entities: Sequence[Entity]) -> set[str]:
        """Configuration, as it comes. Returns the projects whose allowances may have changed."""
        changed = set()
        for entity in entities:
            if isinstance(entity, OfVersions | Adjustment):
                self._catalogue.put(entity)
            if isinstance(entity, ProjectVersion | Adjustment):
                changed.add(entity.project)
        self._catalogue.renew(self._in_force, entities,
                              lambda version: compile_allowances(Project.model_validate(version.document)))
        self._allowances = {name: found for name, found in self._in_force.items() if found}
        return changed

    def additions(self, events: Sequence[UsageEvent]) -> list[Addition]:
        """What new requests have spent."""
        if not self._allowances:
            return []
        spenders: dict[Spender, int] = {}
        for event in events:
            if event.project in self._allowances and event.tasks:
                spender = event.project, event.operation, event.client, event.time // MINUTE_MS
                spenders[spender] = spenders.get(spender, 0) + event.tasks
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for spender, tasks in spenders.items():
            for one in self._concerned(spender):
                for key, expires_s in _counters(one, spender[3] * MINUTE_MS):
                    place = key, one.subject(spender[2], spender[1])
                    sums[place] = sums.get(place, (0, 0))[0] + tasks, expires_s
        return [Addition(key, subject, tasks, expires_s) for (key, subject), (tasks, expires_s) in sums.items()]

    def touched(self, folded: Folded) -> dict[Spot, set[str]]:
        """Subjects that have just spent something."""
        found: dict[Spot, set[str]] = {}
        if not self._allowances:
            return found
        for (project, minute, operation, client, *_), sum_ in folded.sums.items():
            if sum_.tasks:
                for one in self._concerned((project, operation, client, minute)):
                    spot = Spot(project, one.allowance.label, one.calendar.at(minute * MINUTE_MS))
                    found.setdefault(spot, set()).add(one.subject(client, operation))
        return found

    def spots(self, project: str, now_ms: int) -> list[Spot]:
        """The allowances of a project in the period that is now."""
        return [Spot(project, one.allowance.label, one.calendar.at(now_ms))
                for one in self._allowances.get(project, ())]

    def at(self, spot: Spot) -> CompiledAllowance | None:
        """The allowance; None when it is there no more."""
        return next((one for one in self._allowances.get(spot.project, ()) if one.allowance.label == spot.label), None)

    def webhook(self, said: Signal) -> Webhook | None:
        """Who is told of a threshold, if the allowance names anybody."""
        label = said.evidence.get("allowance")
        return next((one.allowance.webhook for one in self._allowances.get(said.project, ())
                     if one.allowance.label == label), None)

    def grant(self, spot: Spot, one: CompiledAllowance, subject: str) -> Grant:
        """What a subject may spend."""
        return one.grant_of(subject, spot.period, self._catalogue.adjustments.get((spot.project, spot.label)))

    def _concerned(self, spender: Spender) -> Iterator[CompiledAllowance]:
        project, operation, client, _ = spender
        return (one for one in self._allowances.get(project, ())
                if one.allowance.speaks_of(operation) and one.concerns(client))


def _counters(one: CompiledAllowance, time_ms: int) -> Iterator[tuple[str, int]]:
    """Hashes that a task at this time counts in, with their expiry: the period's, and the day's for the forecast."""
    start, end = one.calendar.at(time_ms)
    yield one.key(start), end // 1000 + _KEEP_S
    start, end = one.days.at(time_ms)
    yield one.day_key(start), end // 1000 + _KEEP_DAY_S


def reached(grant: Grant, spent: int) -> int:
    """The highest threshold that is reached, in percent; 0 for none."""
    percent = 100 * max(0, spent - grant.forgiven) // grant.tasks if grant.tasks else 10**9
    return max((threshold for threshold in grant.allowance.thresholds if threshold <= percent), default=0)


def news(grant: Grant, spent: int, told: str) -> tuple[int, str] | None:
    """The threshold to speak of, and what is then said; None when there is nothing new.

    What has been said holds for the amount as it was then: once it has been raised or reset, thresholds count anew.
    """
    limit = f"{grant.tasks}+{grant.forgiven}"
    before, _, percent = told.partition(":")
    threshold = reached(grant, spent)
    if threshold <= (int(percent) if before == limit else 0):
        return None
    return threshold, f"{limit}:{threshold}"


def signal(project: str, grant: Grant, spent: int, threshold: int, now_ms: int) -> Signal:
    """What is said at a threshold."""
    allowance, names = grant.allowance, orjson.loads(grant.subject)
    whose = dict(zip(allowance.sides, names, strict=True))
    net = max(0, spent - grant.forgiven)
    return Signal(
        project=project, kind="allowance", subject="/".join((allowance.label, *names)), action="observe",
        until=grant.end, time=now_ms, detector=DETECTOR,
        reason=f"{threshold}% of {grant.tasks} tasks per {allowance.per} are spent"
               + (f"; now: {allowance.at_limit}" if threshold >= 100 else ""),
        evidence={"allowance": allowance.label, **whose, "threshold": threshold, "spent": net, "tasks": grant.tasks,
                  "at_limit": allowance.at_limit, "period_start": grant.start, "period_end": grant.end})
