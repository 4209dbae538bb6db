"""One answer for each execution, counted at the door: where records leave, whatever the workflow says of itself."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.config import ProjectVersion
from shared.contracts.reply import ReplyRecord
from shared.contracts.reply_address import ReplyAddress
from shared.kafka.answers import Answers
from tests.unit.services.executor.test_inbox import Bed
from tests.unit.services.executor.test_metering import ANSWER, lists, numbered

Json = dict[str, Any]
PAUSE: Json = {"id": "pause", "delay": {"for": "1ms"}}
LATE: Json = {"id": "late", "emit": {"event": "late", "data": "late"}}
ASIDE: Json = {"id": "aside", "call": {"workflow": "other", "wait": False}}


async def answers_of(mode: str, steps: list[Json], other: list[Json]) -> list[ReplyRecord]:
    """All records that go to the caller, in their order, also those that come after the execution is finished."""
    bed = Bed()
    bed.shelf.take([ProjectVersion(project="p", version=2, files={}, time=0, document={
        "name": "p", "workflows": {"w": {"name": "w", "steps": steps}, "other": {"name": "other", "steps": other}},
        "operations": [{"name": "o", "method": "POST", "path": "/o", "workflow": "w", "mode": mode}]})])
    bed.stage.handle([bed.record(1, "o", version=2)])
    await bed.settled(1)
    return bed.replies()


@pytest.mark.parametrize("first", [[], [{"id": "first", "emit": {"event": "first", "data": 1}}]],
                         ids=["no event before", "an event before"])
async def test_what_runs_beside_the_answer_sends_no_event_after_it(
        first: list[Json], caplog: pytest.LogCaptureFixture) -> None:
    told = {"id": "told", "fail": {"message": "late: {% steps.late %}"}}
    sent = await answers_of("events", [*first, ASIDE, ANSWER], [
        PAUSE, {**LATE, "fallback": "{% errors.late.kind %}"}, told])
    assert [one.event for one in sent] == (["first", "end"] if first else [""])
    assert "late: stream-ended" in caplog.text


async def test_event_that_still_looks_for_its_partition_is_not_sent_after_the_answer(
        monkeypatch: pytest.MonkeyPatch) -> None:
    async def placed(_: Answers, address: ReplyAddress) -> ReplyAddress:
        await asyncio.sleep(0.02)
        return address
    monkeypatch.setattr(Answers, "placed", placed)
    sent = await answers_of("events", [ASIDE, PAUSE, ANSWER], [LATE])
    assert [one.event for one in sent] == [""]


def eventful(steps: Any, waits: bool) -> Any:
    """The same steps, which emit where they made a value, and wait for those that they call or do not."""
    if isinstance(steps, list):
        return [eventful(one, waits) for one in steps]
    if not isinstance(steps, dict):
        return steps
    if "transform" in steps:
        return {"emit": {"data": 1}, **{key: one for key, one in steps.items() if key != "transform"}}
    if "call" in steps:
        return {**steps, "call": {"workflow": "other", "wait": waits}}
    return {key: eventful(one, waits) for key, one in steps.items()}


@settings(max_examples=60, deadline=None)
@given(lists(), st.sampled_from(["request_response", "events"]), st.booleans())
def test_caller_of_a_random_workflow_gets_one_answer_and_nothing_after_it(
        raw: list[Json], mode: str, waits: bool) -> None:
    steps = numbered([*raw, ANSWER], (f"s{number}" for number in range(100_000)))
    sent = asyncio.run(answers_of(mode, eventful(steps, waits), [PAUSE, LATE, {"id": "back", "reply": {}}]))
    *events, answer = sent
    assert all(one.sequence is not None and not one.last for one in events)
    assert [one.sequence for one in events] == list(range(len(events)))
    assert (answer.sequence, answer.last) == ((len(events), True) if events else (None, False))
