"""What the edge tells of calls that end there."""

from typing import Any, cast

import pytest
from msgspec import structs

from services.ingress.edge_usage import EdgeUsage
from services.ingress.endings import Endings
from services.ingress.routes import EdgeRoutes
from services.ingress.traces import EdgeTraces
from services.ingress.visit import Visit
from shared.client.caller import NotAcknowledged
from shared.contracts.config import ProjectVersion, Token
from shared.contracts.usage import UsageEvent
from shared.errors import Blocked, BodyTooLarge, OperationNotFound, StreamBroken, TimedOut, WeirError
from shared.telemetry.access import AccessLog
from shared.telemetry.metrics import Metrics
from shared.telemetry.sampling import Sampler
from shared.telemetry.tracing import Tracing
from tests.support.fakes import StoppedClock
from tests.unit.services.ingress.test_edge import SHAPED, TARGET, TRACE


class Kept:
    """Stands for the envelopes."""

    def __init__(self) -> None:
        self.events: list[UsageEvent] = []

    def add(self, event: UsageEvent) -> None:
        self.events.append(event)


def told(error: WeirError, *, keep_addresses: bool, project: str = "p", **visit: Any) -> UsageEvent:
    kept, made = Kept(), Visit("r", "GET", "/p/a/b", "p", "/a/b", None, TRACE, 0, visit.pop("target", None))
    for name, value in visit.items():
        setattr(made, name, value)
    EdgeUsage(cast(Any, kept), StoppedClock(7), keep_addresses=keep_addresses).ended(
        "request", made, error, project=project, address="192.0.2.1")
    event, = kept.events
    return event


@pytest.mark.parametrize("keep_addresses", [True, False])
def test_blocked_caller_is_counted_with_its_name_and_with_its_address_where_that_is_wanted(
        keep_addresses: bool) -> None:
    caller = Token(id="t", project="p", client="c", created=0, digests={})
    assert told(Blocked("no"), keep_addresses=keep_addresses, target=TARGET, caller=caller, bytes_in=5) == UsageEvent(
        kind="request", id="r", time=7, project="p", operation="get", client="c", source="edge", status=403,
        reason="blocked", bytes_in=5, trace_id=TRACE.trace_id, token="t",
        address="192.0.2.1" if keep_addresses else None)


def test_whoever_asks_for_what_is_not_there_is_counted_with_the_class_of_its_path() -> None:
    event = told(OperationNotFound("no"), keep_addresses=True)
    assert (event.operation, event.client, event.token, event.path) == ("", "", None, "/a/b")
    nowhere = told(OperationNotFound("no"), keep_addresses=True, project="")
    assert (nowhere.project, nowhere.path) == ("", "/p/a/b")
    assert structs.replace(event, project="", path="/p/a/b") == nowhere


@pytest.mark.parametrize(("error", "published", "kind"), [
    (Blocked("no"), False, "request"), (TimedOut("late"), False, "request"), (TimedOut("late"), True, "delivery"),
    (NotAcknowledged("gone"), True, "delivery"), (StreamBroken("cut"), True, "delivery"),
    (BodyTooLarge("large"), True, "request")], ids=str)
def test_call_that_may_have_gone_on_is_counted_by_whoever_ends_it_further_in(
        error: WeirError, published: bool, kind: str) -> None:
    document = {**SHAPED, "abuse": {"addresses": False}}
    for project, counts_for, address in (("p", "p", "192.0.2.1"), ("q", "q", None), ("none", "", "192.0.2.1")):
        kept, clock, metrics, routes = Kept(), StoppedClock(), Metrics(muted=True), EdgeRoutes()
        routes.take([ProjectVersion(project=name, version=1, document={**made, "name": name}, files={}, time=0)
                     for name, made in (("p", SHAPED), ("q", document))])
        visit = Visit("r", "GET", f"/{project}/a", project, "/a", None, TRACE, 0, None)
        visit.published_us = 5 if published else 0
        Endings(clock=clock, routes=routes, metrics=metrics, access=AccessLog(0),
                usage=EdgeUsage(cast(Any, kept), clock, keep_addresses=True),
                traces=EdgeTraces(Tracing("ingress", "i"), Sampler(clock, ratio=0, max_per_s=0), clock, 1_000),
                ).count(visit, error, "192.0.2.1")
        assert [(event.kind, event.project, event.address) for event in kept.events] == [(kind, counts_for, address)]
