"""What usage spends from allowances, and when a threshold is worth a signal."""

import random
from collections import Counter
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.analytics.allowance import Spending, news, signal
from services.analytics.fold import Known, Placed, fold
from shared.contracts.config import Adjustment, ProjectVersion
from shared.contracts.signal import Signal
from shared.contracts.usage import Envelope, UsageEvent
from shared.decision.allowances import Grant
from shared.project.model import Project
from shared.project.webhook import Webhook
from tests.support.usage import event

ZONE = ZoneInfo("Europe/Berlin")
# the first second of December in Berlin
MIDNIGHT = int(datetime(2026, 12, 1, tzinfo=ZONE).timestamp() * 1000)
NOVEMBER = int(datetime(2026, 11, 1, tzinfo=ZONE).timestamp() * 1000)


def spending(*allowances: dict[str, Any], version: int = 1, made: Spending | None = None) -> Spending:
    document = Project.model_validate({"name": "p", "allowance": list(allowances)}).to_document()
    made = made or Spending()
    made.take([ProjectVersion(project="p", version=version, document=document, files={}, time=0)])
    return made


def spent(known: Spending, *events: UsageEvent) -> dict[str, int]:
    """Tasks by allowance and subject, without the counters of days."""
    found: Counter[str] = Counter()
    for addition in known.additions(events):
        if ":day:" not in addition.key:
            found[f"{addition.key.split(':')[3]}{addition.field}"] += addition.amount
    return dict(found)


def test_tasks_count_for_every_allowance_that_names_client_and_operation() -> None:
    known = spending({"tasks": 9}, {"tasks": 9, "by": ["operation", "client"]},
                     {"tasks": 9, "by": "client", "operations": ["get-*"]},
                     {"tasks": 9, "name": "d", "clients": ["d*"]})
    events = [event(operation="get-a", client="c", tasks=3), event(operation="put-a", client="dora", tasks=4),
              event(operation="get-a", client='c"]', tasks=5), event(operation="get-b", client="c", tasks=1)]
    assert spent(known, *events) == {
        "project[]": 13, 'client-operation["c","get-a"]': 3, 'client-operation["dora","put-a"]': 4,
        'client-operation["c\\"]","get-a"]': 5, 'client-operation["c","get-b"]': 1, 'client["c"]': 4,
        'client["c\\"]"]': 5, "d[]": 4}


def test_refused_call_and_project_without_allowance_cost_nothing() -> None:
    known = spending({"tasks": 9})
    assert known.additions([event(tasks=0, status=429), event(project="q", tasks=3)]) == []
    assert spending().additions([event(tasks=3)]) == []


def test_month_changes_at_midnight_of_its_zone() -> None:
    known = spending({"tasks": 9, "zone": "Europe/Berlin"})
    found = known.additions([event(time=MIDNIGHT - 1, tasks=3), event(time=MIDNIGHT, tasks=4)])
    by_month = {one.key: (one.amount, one.expires_s) for one in found if ":day:" not in one.key}
    assert by_month == {
        f"weir:allowance:p:project:month:{NOVEMBER}": (3, MIDNIGHT // 1000 + 400 * 86_400),
        f"weir:allowance:p:project:month:{MIDNIGHT}": (
            4, int(datetime(2027, 1, 1, tzinfo=ZONE).timestamp()) + 400 * 86_400)}
    assert sorted(addition.amount for addition in found if ":day:" in addition.key) == [3, 4]


def test_division_and_order_of_events_do_not_matter() -> None:
    chance = random.Random(3)
    known = spending({"tasks": 9, "zone": "Europe/Berlin"}, {"tasks": 9, "by": "client", "per": "hour"})
    events = [event(client=chance.choice("abc"), tasks=chance.randint(0, 5),
                    time=MIDNIGHT + chance.randint(-9, 9) * 60_000) for _ in range(200)]
    whole = {(one.key, one.field): one.amount for one in known.additions(events)}
    chance.shuffle(events)
    parts: Counter[tuple[str, str]] = Counter()
    while events:
        part, events = events[:7], events[7:]
        for one in known.additions(part):
            parts[one.key, one.field] += one.amount
    assert parts == whole


def test_touched_are_those_that_spent_something_new() -> None:
    known = spending({"tasks": 9, "zone": "Europe/Berlin"}, {"tasks": 9, "by": "client", "name": "each"})
    envelope = Envelope(producer="a", sequence=0, events=(
        event(1, client="c", time=MIDNIGHT), event(2, client="d", time=MIDNIGHT, tasks=0)))
    first = fold([Placed(0, 0, envelope)], Known())
    assert {spot.label: subjects for spot, subjects in known.touched(first).items()} == {
        "project": {"[]"}, "each": {'["c"]'}}
    assert next(iter(known.touched(first))).period[0] == MIDNIGHT
    assert known.touched(fold([Placed(0, 0, envelope)], Known(offsets={0: 0}))) == {}


def grant(known: Spending, subject: str = "[]") -> Grant:
    [spot] = known.spots("p", MIDNIGHT)
    one = known.at(spot)
    assert one is not None
    return known.grant(spot, one, subject)


@pytest.mark.parametrize(("tasks", "told", "expected"), [
    (0, "", None), (799, "", None), (800, "", 80), (999, "1000+0:80", None), (1000, "1000+0:80", 100),
    (5000, "1000+0:100", None), (5000, "", 100), (900, "500+0:100", 80), (900, "1000+400:80", 80)])
def test_each_threshold_is_said_once_for_an_amount(tasks: int, told: str, expected: int | None) -> None:
    found = news(grant(spending({"tasks": 1000})), tasks, told)
    assert (found and found[0]) == expected
    if found is not None:
        assert news(grant(spending({"tasks": 1000})), tasks, found[1]) is None


def test_raised_and_reset_amounts_have_thresholds_of_their_own() -> None:
    known = spending({"tasks": 100, "thresholds": [50, 100, 200]})
    start = known.spots("p", MIDNIGHT)[0].period[0]

    def adjusted(**more: Any) -> Grant:
        known.take([Adjustment(project="p", name="project", start=start, time=0, **more)])
        return grant(known)
    assert news(grant(known), 250, "") == (200, "100+0:200")
    assert news(adjusted(raised={"[]": 300}), 250, "100+0:200") == (50, "400+0:50")
    assert news(adjusted(raised={"[]": 300}, forgiven={"[]": 250}), 250, "400+0:50") is None
    assert news(adjusted(raised={"[]": 300}, forgiven={"[]": 250}), 450, "400+0:50") == (50, "400+250:50")
    assert news(adjusted(raised={"[]": -100}), 1, "") == (200, "0+0:200")


def test_signal_says_whose_amount_it_is_and_survives_the_topic() -> None:
    known = spending({"tasks": 10, "by": ["operation", "client"], "at_limit": "overage"})
    made = signal("p", grant(known, '["c","get-a"]'), 12, 100, MIDNIGHT)
    assert (made.key, made.kind, made.action) == (b"p/allowance/client-operation/c/get-a", "allowance", "observe")
    assert made.reason == "100% of 10 tasks per month are spent; now: overage"
    assert made.evidence | {"client": "c", "operation": "get-a", "spent": 12, "tasks": 10} == made.evidence
    assert Signal.from_record(made.key, made.to_value()) == made
    assert known.webhook(made) is None
    spending({"tasks": 10, "by": ["operation", "client"], "webhook": {"url": "https://a.example", "secret": "A"}},
             version=2, made=known)
    assert known.webhook(made) == Webhook(url="https://a.example", secret="A")


def test_new_version_changes_amounts_and_can_take_them_away() -> None:
    known = spending({"tasks": 10})
    [spot] = known.spots("p", MIDNIGHT)
    spending({"tasks": 20}, version=2, made=known)
    assert grant(known).tasks == 20
    spending(version=3, made=known)
    assert (known.at(spot), known.spots("p", MIDNIGHT)) == (None, [])
    assert known.additions([event(tasks=3)]) == []
