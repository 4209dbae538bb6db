"""What the spans of an execution tell."""

from typing import Any

from services.executor.traces import with_steps
from shared.names import spans
from shared.telemetry.span import Span
from tests.unit.services.executor.test_run import perform
from tests.unit.services.executor.test_walk import fail, reply, value


def named(found: list[Span], name: str) -> Span:
    return next(span for span in found if span.name == name)


def loop(passes: int, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "lines", "loop": {"over": f"{{% [1..{passes}] %}}", "steps": list(steps), **more}}


async def test_steps_stand_under_their_workflow_and_those_of_a_pass_under_the_pass() -> None:
    found: list[Span] = []
    await perform([loop(2, value("twice", "{% loop.item * 2 %}")), reply()], traced=found)
    by_id = {span.context.span_id: span for span in found}
    above = {span.name: by_id[span.parent_id].name for span in found if span.parent_id}
    assert above == {"step lines": "workflow w", "step answer": "workflow w", "pass 0": "step lines",
                     "pass 1": "step lines", "step twice": "pass 1"}
    assert named(found, "step lines").attributes == {spans.STEP_ID: "lines", spans.STEP_KIND: "loop"}


async def test_passes_above_twenty_are_summed_up_in_the_span_of_their_loop() -> None:
    found: list[Span] = []
    failing = fail("lose", **{"if": "loop.index >= 29"})
    await perform([loop(30, value("one", 1), failing, concurrency=2), reply()], traced=found)
    assert sum(span.name == "pass 19" for span in found) == 1
    assert not any(span.name == "pass 20" for span in found)
    assert sum(span.name == "step one" for span in found) == 20
    told = named(found, "step lines").attributes
    assert (told[spans.PASSES_COUNT], told[spans.PASSES_FAILED]) == (30, 1)
    assert int(told[spans.PASSES_LONGEST_US]) > 0


async def test_each_further_try_of_a_step_is_an_event_of_its_span() -> None:
    found: list[Span] = []
    retry = {"attempts": 3, "delay": "1ms", "jitter": 0, "on": ["sold-out"]}
    await perform([fail("call", retry=retry), reply()], traced=found)
    tried = named(found, "step call")
    assert [(name, told[spans.ATTEMPT], told[spans.ERROR_TYPE]) for _, name, told in tried.events] == [
        ("retry", 1, "sold-out"), ("retry", 2, "sold-out")]
    assert tried.error is not None


async def test_unsampled_execution_notes_its_steps_for_a_trace_afterwards() -> None:
    inner = {"id": "way", "branch": {"if": "true", "then": [value("inside", 1)]}}
    _, scene = await perform([inner, value("next", 2), reply()])
    assert scene.laps is None
    scene.laps = [("way", 10), ("next", 30), ("answer", 35)]
    assert with_steps(scene, {"executor": 100}, 100) == {
        "executor": 100, "step way": 20, "step next": 5, "step answer": 65}
