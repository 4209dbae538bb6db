"""How long a call may take."""

import pytest
from msgspec import structs

from shared.names import topics
from tests.support.calls import NOW, OPERATIONS, book, case

SHORT = [{**OPERATIONS[0], "timeout": "2s", "run_timeout": "5s"}]
FORGOTTEN = [{**OPERATIONS[0], "mode": "fire_and_forget"}]


@pytest.mark.parametrize(("topic", "operations", "deadline_ms", "prefer", "until_ms", "at_once"), [
    # what the edge tells goes on after its wait, and nobody tells those who wait on a topic
    (topics.REQUESTS_EDGE, OPERATIONS, None, None, NOW + 300_000, False),
    (topics.REQUESTS_INTERNAL, OPERATIONS, None, None, NOW + 30_000, False),
    (topics.REQUESTS_EDGE, SHORT, None, None, NOW + 5_000, False),
    (topics.REQUESTS_EDGE, OPERATIONS, NOW + 1_000, None, NOW + 1_000, False),
    (topics.REQUESTS_EDGE, OPERATIONS, NOW + 999_999, None, NOW + 300_000, False),
    (topics.REQUESTS_EDGE, OPERATIONS, None, "respond-async", NOW + 300_000, True),
    (topics.REQUESTS_INTERNAL, OPERATIONS, None, "respond-async", NOW + 300_000, True),
    (topics.REQUESTS_INTERNAL, SHORT, NOW + 1_000, None, NOW + 1_000, False),
    # a service's deadline says how long it waits, and it waits no more once it is told 202
    (topics.REQUESTS_INTERNAL, OPERATIONS, NOW + 1_000, "respond-async", NOW + 300_000, True),
    (topics.REQUESTS_INTERNAL, FORGOTTEN, NOW + 1_000, None, NOW + 300_000, True),
    # that of the edge is the end of the work
    (topics.REQUESTS_EDGE, FORGOTTEN, NOW + 1_000, None, NOW + 1_000, True)])
def test_call_ends_with_its_deadline_and_never_later_than_its_operation(
        topic: str, operations: list[dict[str, object]], deadline_ms: int | None, prefer: str | None, until_ms: int,
        at_once: bool) -> None:
    looked, project = case(known := book([], operations=operations)), known.project("p")
    assert project is not None
    looked.topic, looked.guarded = topic, project.operations["get-thing"]
    looked.request = structs.replace(looked.request, deadline_ms=deadline_ms, prefer=prefer)
    assert (looked.until_ms, looked.answering.at_once) == (until_ms, at_once)
