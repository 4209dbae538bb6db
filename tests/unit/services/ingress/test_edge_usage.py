"""What the edge tells of calls that end there."""

from typing import Any, cast

import pytest
from msgspec import structs

from services.ingress.edge_usage import EdgeUsage
from services.ingress.visit import Visit
from shared.contracts.config import Token
from shared.contracts.usage import UsageEvent
from shared.errors import Blocked, OperationNotFound, WeirError
from tests.support.fakes import StoppedClock
from tests.unit.services.ingress.test_edge import TARGET, TRACE


def told(error: WeirError, *, keep_addresses: bool, project: str = "p", **visit: Any) -> UsageEvent:
    events: list[UsageEvent] = []
    made = Visit("r", "GET", "/p/a/b", "p", "/a/b", None, TRACE, 0, visit.pop("target", None))
    for name, value in visit.items():
        setattr(made, name, value)
    EdgeUsage(cast(Any, type("Kept", (), {"add": staticmethod(events.append)})), StoppedClock(7),
              keep_addresses=keep_addresses).ended("request", made, error, project=project, address="192.0.2.1")
    event, = events
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
