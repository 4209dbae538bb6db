"""Steps inside steps, and what a failure leads to."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from services.executor.retries import kind_of, pause_ms
from services.executor.scene import Scene
from services.executor.steps.transform import TransformStep
from shared.errors import TasksSpent, TimedOut, UpstreamFailed, WeirError, WorkflowFailed
from shared.project.calls import MAX_CALL_DEPTH
from shared.project.check_calls import check_calls
from shared.project.model import Workflow
from shared.project.places import Source
from shared.project.steps.base import Retry
from tests.unit.services.executor.test_run import perform

Json = dict[str, Any]


def value(step_id: str, made: Any, **more: Any) -> Json:
    return {"id": step_id, "transform": {"value": made}, **more}


def reply(body: Any = "{% steps %}") -> Json:
    return {"id": "answer", "reply": {"body": body}}


def fail(step_id: str, **more: Any) -> Json:
    return {"id": step_id, "fail": {"message": "no {% trigger.what %}", "error": "sold-out", "status": 409}, **more}


async def body_of(*steps: Json, **more: Any) -> Any:
    made, _ = await perform(list(steps), **more)
    assert not isinstance(made, WeirError), made
    return orjson.loads(made.body)


async def error_of(*steps: Json, **more: Any) -> WeirError:
    made, _ = await perform(list(steps), **more)
    assert isinstance(made, WeirError)
    return made


@pytest.mark.parametrize(("n", "steps"), [(1, {"way": "then", "small": 1}), (9, {"way": "else", "big": 9})])
async def test_branch_runs_one_of_two_ways(n: int, steps: Json) -> None:
    branch = {"id": "way", "branch": {"if": "trigger.n < 5", "then": [value("small", "{% trigger.n %}")],
                                      "else": [value("big", "{% trigger.n %}")]}}
    assert await body_of(branch, reply(), trigger={"n": n}) == steps


@pytest.mark.parametrize(("seen", "way"), [
    ([], "else"), ([0, ""], "else"), ([0, 1], "then"), ({}, "else"), ("0", "then"), (None, "else")])
async def test_condition_holds_as_jsonata_means_it(seen: Any, way: str) -> None:
    branch = {"id": "b", "branch": {"if": "{% trigger.seen %}", "then": [value("x", 1)], "else": [value("y", 1)]}}
    assert await body_of(branch, reply("{% steps.b %}"), trigger={"seen": seen}) == way


@pytest.mark.parametrize(("inmost", "way"), [("[0]", "else"), ("[0, 1]", "then")])
async def test_condition_reads_arrays_as_deep_as_an_expression_may_give_them(inmost: str, way: str) -> None:
    branch = {"id": "b", "branch": {"if": "trigger.body", "then": [value("x", 1)], "else": [value("y", 1)]}}
    body = orjson.loads("[" * 998 + inmost + "]" * 998)
    assert await body_of(branch, reply("{% steps.b %}"), trigger={"body": body}) == way


async def test_reply_inside_a_branch_ends_the_workflow() -> None:
    branch = {"id": "way", "branch": {"if": "true", "then": [reply("inside"), value("never", 1)]}}
    made, scene = await perform([branch, reply("outside")])
    assert (made.body, scene.tally.tasks) == (b'"inside"', 3)


@pytest.mark.parametrize(("kind", "taken"), [("a", "a"), (7, "7"), ("other", "default")])
async def test_switch_takes_the_case_of_its_value(kind: Any, taken: str) -> None:
    switch = {"id": "s", "switch": {"value": "{% trigger.kind %}", "cases": {
        "a": [value("one", 1)], "7": [value("two", 2)]}, "default": [value("three", 3)]}}
    assert await body_of(switch, reply("{% steps.s %}"), trigger={"kind": kind}) == taken


async def test_switch_without_a_fitting_case_runs_nothing() -> None:
    switch = {"id": "s", "switch": {"value": "x", "cases": {"a": [value("one", 1)]}}}
    assert await body_of(switch, reply()) == {"s": "default"}


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_loop_collects_in_order(concurrency: int) -> None:
    loop = {"id": "l", "loop": {"over": "{% trigger.items %}", "concurrency": concurrency, "steps": [
        {"id": "wait", "delay": {"for": "2ms"}, "if": "loop.index = 0"}, value("x", "{% loop.item * 2 %}")]}}
    assert await body_of(loop, reply("{% steps.l %}"), trigger={"items": [1, 2, 3, 4]}) == [2, 4, 6, 8]


async def test_loop_over_an_object_has_keys_and_collects_what_it_is_told() -> None:
    loop = {"id": "l", "loop": {"over": {"a": 1, "b": 2}, "collect": "{% loop.key & steps.x %}",
                                "steps": [value("x", "{% loop.item %}")]}}
    assert await body_of(loop, reply("{% steps.l %}")) == ["a1", "b2"]


async def test_break_and_continue() -> None:
    loop = {"id": "l", "loop": {"over": [1, 2, 3, 4, 5], "steps": [
        {"id": "skip", "continue": {}, "if": "loop.item = 2"}, {"id": "end", "break": {}, "if": "loop.item = 4"},
        value("x", "{% loop.item %}")]}}
    assert await body_of(loop, reply("{% steps.l %}")) == [1, 3]


async def test_break_beside_others_ends_its_own_loop_alone() -> None:
    inner = {"id": "inner", "loop": {"over": [1, 2, 3], "steps": [{"id": "b", "if": "loop.item = 2", "break": {}},
                                                                  value("i", "{% loop.item %}")]}}
    outer = {"id": "outer", "loop": {"over": [1, 2], "concurrency": 2, "steps": [inner]}}
    beside = {"id": "p", "parallel": {"branches": {"a": [outer], "b": [value("x", 1)]}}}
    assert await body_of(beside, reply("{% steps.p %}")) == {"a": [[1], [1]], "b": 1}


async def test_while_loop_sees_what_it_collected_last() -> None:
    loop = {"id": "l", "loop": {"while": "loop.index = 0 or loop.last < 8", "steps": [
        value("x", "{% loop.last ? loop.last * 2 : 1 %}")]}}
    assert await body_of(loop, reply("{% steps.l %}")) == [1, 2, 4, 8]


async def test_passes_are_bounded() -> None:
    for loop in ({"while": "true"}, {"over": "{% [1..5] %}"}, {"over": "{% [1..5] %}", "concurrency": 2}):
        error = await error_of({"id": "l", "loop": {**loop, "max_passes": 4, "steps": [value("x", 1)]}}, reply())
        assert error.members["error"] == "too-many-passes"


async def test_what_happens_in_a_pass_stays_there() -> None:
    loop = {"id": "l", "loop": {"over": [1], "steps": [
        {"id": "inner", "loop": {"over": [5], "steps": [value("x", "{% loop.outer.item + loop.item %}")]}}]}}
    assert await body_of(value("x0", 1), loop, reply()) == {"x0": 1, "l": [[6]]}


async def test_nothing_to_loop_over_is_no_pass_and_a_number_is_an_error() -> None:
    loop = {"id": "l", "loop": {"over": "{% trigger.items %}", "steps": [value("x", 1)]}}
    assert await body_of(loop, reply("{% $count(steps.l) %}")) == 0
    assert "not over a number" in str(await error_of(loop, reply(), trigger={"items": 7}))


async def test_thousand_passes_cost_a_thousand_tasks_and_a_runaway_is_stopped() -> None:
    loop = {"id": "l", "loop": {"over": "{% [1..1000] %}", "steps": [value("x", "{% loop.item %}")]}}
    made, scene = await perform([loop, reply("{% $sum(steps.l) %}")])
    assert (made.body, scene.tally.tasks) == (b"500500", 1003)
    made, scene = await perform([loop, reply()], workflow={"max_tasks": 50})
    assert isinstance(made, TasksSpent)
    assert scene.tally.tasks == 50


@pytest.mark.parametrize("holder", [
    {"loop": {"over": "{% [1..100] %}", "steps": [value("x", 1)]}},
    {"branch": {"if": "true", "then": [value(f"x{index}", 1) for index in range(9)]}}], ids=["loop", "branch"])
async def test_task_bound_is_not_to_be_caught(holder: Json) -> None:
    made, _ = await perform([{"id": "l", "on_error": "continue", **holder}, reply()], workflow={"max_tasks": 10})
    assert isinstance(made, TasksSpent)


@pytest.mark.parametrize("traced", [None, []], ids=["at once", "sampled"])
async def test_masked_error_says_nothing_to_whoever_handles_it(traced: list[Any] | None) -> None:
    step = {"id": "f", "fail": {"message": "s3cret"}, "mask": True, "fallback": "{% errors.f.message %}"}
    made, _ = await perform([step, reply()], traced=traced)
    assert orjson.loads(made.body) == {"f": "step 'f' failed, and says no more (mask)"}


@asynccontextmanager
async def others() -> AsyncIterator[list[None]]:
    """What else runs here: gets longer with each turn that it has."""
    had: list[None] = []

    async def turns() -> None:
        while True:
            await asyncio.sleep(0)
            had.append(None)
    beside = asyncio.create_task(turns())
    await asyncio.sleep(0)
    yield had
    beside.cancel()


@pytest.mark.parametrize(("size", "turns"), [(100_000, 0), (100_001, 9)])
async def test_others_have_a_turn_between_two_steps_over_a_large_body(size: int, turns: int) -> None:
    """Each of them can take as long as a turn."""
    async with others() as had:
        await perform([*(value(f"s{index}", index) for index in range(8)), reply("{% steps.s7 %}")], body=b"x" * size)
    # one more where a loop of the test itself has one
    assert turns <= len(had) <= turns + 5


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_loop_over_more_than_it_may_takes_no_room_for_all_of_it(concurrency: int) -> None:
    loop = {"id": "l", "loop": {"over": "{% trigger.all %}", "max_passes": 3, "concurrency": concurrency,
                                "steps": [value("pass", 1)]}}
    everything = [1] * 200_000
    tracemalloc.start()
    error = await error_of(loop, reply(1), trigger={"all": everything})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (kind_of(error), peak < 20_000_000) == ("too-many-passes", True), peak


@pytest.mark.parametrize("list_of", [
    lambda steps: [*steps, reply("{% steps.s7 %}")],
    lambda steps: [{"id": "once", "loop": {"over": [1], "steps": [value("pass", 1)]}}, *steps, reply("{% steps.s7 %}")],
    lambda steps: [{"id": "once", "loop": {"over": [1], "steps": [value("pass", 1)]}},
                   {"id": "way", "branch": {"if": "true", "then": steps}}, reply("{% steps.s7 %}")]],
    ids=["all", "after another", "inside another"])
async def test_others_have_a_turn_between_steps_that_take_long_together(
        list_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = TransformStep.now

    def now(self: TransformStep, scene: Scene) -> Any:
        time.sleep(0.03)
        return plain(self, scene)
    # what ran before there was a turn runs as if it had not
    steps = list_of([value("s0", 0, **{"if": "$not($exists(steps.s1))"}),
                     *(value(f"s{index}", index, fallback="{% $error('x') %}") for index in range(1, 8))])
    _, quick = await perform(steps)
    monkeypatch.setattr(TransformStep, "now", now)
    async with others() as had:
        made, slow = await perform(steps)
    assert (made.body, slow.tally.tasks, slow.scope["steps"]) == (b"7", quick.tally.tasks, quick.scope["steps"])
    assert len(had) >= 6


async def test_what_a_called_workflow_gives_is_bounded_as_that_of_any_step() -> None:
    other = {"name": "other", "steps": [reply("x" * 5_000_000)]}
    error = await error_of({"id": "c", "call": {"workflow": "other"}}, reply(1), others={"other": other})
    assert (kind_of(error), error.members["step"]) == ("output-too-large", "c")


@pytest.mark.parametrize("last", [{"continue": {}}, {"transform": {"value": 1}}])
async def test_others_have_a_turn_between_two_passes_however_they_end(last: Json) -> None:
    async with others() as had:
        await body_of({"id": "l", "loop": {"over": [1] * 50, "steps": [{"id": "s", **last}]}}, reply())
    assert len(had) >= 50


async def test_parallel_branches_run_at_the_same_time() -> None:
    pause = {"delay": {"for": "500ms"}}
    parallel = {"id": "p", "parallel": {"branches": {
        "a": [{"id": "d1", **pause}, value("x", 1)], "b": [{"id": "d2", **pause}, value("y", 2)]}}}
    began = time.monotonic()
    assert await body_of(parallel, reply("{% steps.p %}")) == {"a": 1, "b": 2}
    assert time.monotonic() - began < 0.99


async def test_failing_branch_ends_the_others_and_is_caught_as_itself() -> None:
    parallel = {"id": "p", "parallel": {"branches": {
        "a": [{"id": "d1", "delay": {"for": "1500ms"}}, value("x", 1)], "b": [fail("broken")]}},
        "catch": [value("seen", "{% errors.p %}")]}
    began = time.monotonic()
    seen = await body_of(parallel, reply("{% steps.seen %}"), trigger={"what": "bread"})
    assert seen == {"kind": "sold-out", "step": "broken", "message": "no bread", "status": 409, "attempt": 1}
    assert time.monotonic() - began < 1


WAITS: Json = {"id": "d", "delay": {"for": "1s"}}
FAILS_BESIDE: dict[str, tuple[Json, Json]] = {
    "parallel": ({"parallel": {"branches": {"a": [fail("broken")], "b": [WAITS]}}}, {}),
    "concurrent loop": ({"loop": {"over": [1, 2], "concurrency": 2, "steps": [fail("broken")]}}, {}),
    "tried again": ({"retry": {"attempts": 2, "delay": "1ms", "on": ["sold-out"]},
                     "parallel": {"branches": {"a": [fail("broken")], "b": [WAITS]}}}, {}),
    "call inside a call": ({"call": {"workflow": "outer"}}, {
        "outer": {"name": "outer", "steps": [{"id": "in", "call": {"workflow": "inner"}}]},
        "inner": {"name": "inner", "steps": [{"id": "d", "delay": {"for": "1ms"}}, fail("broken")]}})}


@pytest.mark.parametrize("name", FAILS_BESIDE)
async def test_timeout_after_a_handled_failure_beside_others_is_a_timeout(name: str) -> None:
    step, others = FAILS_BESIDE[name]
    failed = {"id": "p", "fallback": 1, **step}
    slow = {"id": "slow", "timeout": "20ms", "delay": {"for": "1s"}, "fallback": "{% errors.slow.kind %}"}
    assert await body_of(failed, slow, reply(), others=others) == {"p": 1, "slow": "timeout"}
    waits = {"id": "s", "delay": {"for": "250ms"}, "timeout": "10s"}
    assert isinstance(await error_of(failed, waits, waits | {"id": "t"}, reply(), others=others, left_ms=300), TimedOut)


async def test_failed_step_answers_with_the_status_of_its_owner() -> None:
    error = await error_of(fail("broken"), reply())
    assert (error.status, error.members["step"], error.members["error"]) == (409, "broken", "sold-out")


async def test_fallback_stands_for_the_output_of_a_failed_step() -> None:
    assert await body_of(fail("broken", fallback={"why": "{% errors.broken.kind %}"}), reply()) == {
        "broken": {"why": "sold-out"}}


async def test_catch_may_answer() -> None:
    caught = fail("broken", catch=[reply({"sorry": "{% errors.broken.message %}"})])
    assert await body_of(caught, reply("never"), trigger={"what": "milk"}) == {"sorry": "no milk"}


async def test_error_in_a_catch_is_an_error() -> None:
    error = await error_of(fail("broken", catch=[value("worse", "{% $number('x') %}")]), reply())
    assert error.members["step"] == "worse"


async def test_step_has_a_time_of_its_own() -> None:
    slow = {"id": "slow", "timeout": "20ms", "delay": {"for": "1s"}}
    assert isinstance(await error_of(slow, reply()), TimedOut)
    assert await body_of({**slow, "fallback": "late"}, reply()) == {"slow": "late"}


async def test_step_is_tried_again_for_the_errors_that_its_owner_names() -> None:
    retried = fail("broken", retry={"attempts": 3, "delay": "30ms", "factor": 1, "jitter": 0, "on": ["sold-out"]},
                   fallback="{% errors.broken.attempt %}")
    began = time.monotonic()
    made, scene = await perform([retried, reply()])
    assert time.monotonic() - began > 0.055
    assert (made.body, scene.tally.tasks, scene.tally.retries) == (b'{"broken":3}', 3, 2)
    other = fail("broken", retry={"attempts": 3, "delay": "1ms"}, fallback="{% errors.broken.attempt %}")
    assert await body_of(other, reply()) == {"broken": 1}


def test_pauses_grow_are_bounded_and_leave_something_to_chance() -> None:
    error = UpstreamFailed("x")
    retry = Retry.model_validate({"attempts": 5, "delay": "100ms", "factor": 3, "max_delay": "500ms", "jitter": 0.5})
    assert [pause_ms(error, tried, retry, 0.0) for tried in (1, 2, 3, 4, 5)] == [100, 300, 500, 500, None]
    assert pause_ms(error, 2, retry, 1.0) == 150
    assert pause_ms(error, 1, None, 0.0) is None
    assert pause_ms(WorkflowFailed("x"), 1, retry, 0.0) is None
    assert pause_ms(TasksSpent("x"), 1, Retry.model_validate({"on": ["5xx"]}), 0.0) is None
    assert pause_ms(UpstreamFailed("x", members={"retry_after_ms": 2000}), 1, retry, 0.0) == 2000


@pytest.mark.parametrize(("on", "status", "again"), [
    ([503], 503, True), ([503], 502, False), (["5xx"], 504, True), (["5xx", 429], 429, True),
    (["5xx", 429], 404, False), (["timeout"], 503, False), (["upstream-failed"], 404, True)])
def test_errors_are_tried_again_by_kind_by_status_or_by_class(on: list[Any], status: int, again: bool) -> None:
    error = UpstreamFailed("x", members={"upstream_status": status})
    assert (pause_ms(error, 1, Retry.model_validate({"on": on}), 0.0) is not None) == again


def workflows(**called: Any) -> Json:
    return {name: {"name": name, **one} for name, one in called.items()}


async def test_called_workflow_sees_its_input_and_gives_its_reply() -> None:
    call = {"id": "c", "call": {"workflow": "double", "input": {"n": "{% steps.x %}"}}}
    double = {"steps": [value("y", "{% trigger.body.n * 2 %}"),
                        {"id": "back", "reply": {"body": {"n": "{% steps.y %}", "x": "{% steps.x %}"}}}]}
    made, scene = await perform([value("x", 4), call, reply("{% steps.c %}")], others=workflows(double=double))
    assert (orjson.loads(made.body), scene.tally.tasks) == ({"n": 8, "x": None}, 6)


@pytest.mark.parametrize(("called", "kind"), [
    ({"input": {"type": "string"}, "steps": [reply(1)]}, "input-invalid"),
    ({"output": {"type": "string"}, "steps": [reply(1)]}, "output-invalid"),
    ({"steps": [{"id": "no", "reply": {"name": "forbidden"}}]}, "call-failed")])
async def test_called_workflow_that_misfits_or_refuses_fails_the_step(called: Json, kind: str) -> None:
    call = {"id": "c", "call": {"workflow": "w2", "input": 1}}
    error = await error_of(call, reply(), others=workflows(w2=called))
    assert (error.members["error"], error.members["step"]) == (kind, "c")


@pytest.mark.parametrize(("answer", "told"), [
    ({"name": "not_found"}, "404 (not_found)"), ({"name": "invalid_input"}, "400 (invalid_input)"),
    ({"status": 399}, None), ({"name": "gone"}, "410 (gone)"), ({"status": 404}, "404"),
    ({"name": "forbidden", "status": 200}, None), ({"name": "made"}, None), ({"name": "nobodys"}, None), ({}, None)])
async def test_reply_of_a_called_workflow_has_the_status_of_its_name(answer: Json, told: str | None) -> None:
    call = {"id": "c", "call": {"workflow": "w2"}, "fallback": "{% errors.c.message %}"}
    made, _ = await perform(
        [call, reply("{% steps.c %}")], others=workflows(w2={"steps": [{"id": "no", "reply": {**answer, "body": 1}}]}),
        operation={"replies": {"not_found": {"status": 404}, "gone": {"status": 410}, "made": {"status": 201}}})
    assert orjson.loads(made.body) == (1 if told is None else f"workflow 'w2' answered {told}")


async def test_call_that_nobody_waits_for_goes_on_beside_and_counts() -> None:
    beside = {"steps": [{"id": "d", "delay": {"for": "50ms"}}, fail("broken")]}
    made, scene = await perform(
        [{"id": "c", "call": {"workflow": "w2", "wait": False}}, reply()], others=workflows(w2=beside))
    assert (made.body, scene.tally.tasks) == (b'{"c":null}', 5)


@pytest.mark.parametrize("wait", [True, False])
async def test_calls_inside_calls_are_bounded(wait: bool, caplog: pytest.LogCaptureFixture) -> None:
    chain = {f"c{n}": {"steps": [{"id": f"s{n}", "call": {"workflow": f"c{n + 1}"}}, reply(n)]} for n in range(40)}
    last = {"steps": [reply("end")]}

    def first(number: int) -> Json:
        return {"id": "c", "call": {"workflow": f"c{number}", "wait": wait}}
    made, scene = await perform([first(9), reply("{% steps %}")], others=workflows(**chain, c40=last))
    # that no store says how far it is may be told of by then, where that took long
    assert (made.status, scene.tally.tasks, "MAX_CALL_DEPTH" in caplog.text) == (200, 3 + 32 + 31, False)
    made, scene = await perform([first(8), reply("{% steps %}")], others=workflows(**chain, c40=last))
    told = caplog.text if wait is False else f"{made.members['error']} {made.members['step']}: {made}"
    assert "WEIR_EXECUTOR_MAX_CALL_DEPTH" in told
    assert not wait or told.startswith("call-too-deep s39: 32 calls")
    # the trigger, 32 calls, and the one that failed
    assert scene.tally.tasks == 34 + (not wait)


@pytest.mark.parametrize(("calls", "code", "answer"), [
    (MAX_CALL_DEPTH, [], 200), (MAX_CALL_DEPTH + 1, ["too-deep"], 500)])
async def test_chain_of_calls_runs_if_it_is_accepted(calls: int, code: list[str], answer: int) -> None:
    def calling(name: str) -> list[Json]:
        return [{"id": "c", "call": {"workflow": name}}, reply(1)]
    chain = workflows(**{f"c{n}": {"steps": calling(f"c{n + 1}") if n < calls else [reply(1)]}
                         for n in range(1, calls + 1)})
    whole = workflows(w={"steps": calling("c1")}) | chain
    files = {name: (Workflow.model_validate(one), Source(name)) for name, one in whole.items()}
    made, _ = await perform(calling("c1"), others=chain)
    assert ([one.code for one in check_calls(files, (), set(files))], made.status) == (code, answer)


@pytest.mark.parametrize("traced", [None, []], ids=["not sampled", "sampled"])
async def test_longest_chain_of_calls_comes_to_its_end_however_deep_its_steps_stand(traced: list[Any] | None) -> None:
    def deep(step: Json, levels: int = 10) -> Json:
        for level in range(levels):
            step = {"id": f"l{level}", "loop": {"over": [1], "steps": [step]}, "timeout": "50s"}
        return step
    chain = {f"c{n}": {"steps": [deep({"id": "s", "call": {"workflow": f"c{n + 1}"}}), reply(n)]} for n in range(31)}
    made, _ = await perform([deep({"id": "s", "call": {"workflow": "c0"}}), reply(1)], traced=traced, left_ms=60_000,
                            others=workflows(**chain, c31={"steps": [fail("broken")]}))
    assert made.members["error"] == "sold-out"


async def test_end_of_time_ends_calls_inside_calls_and_names_the_innermost_step() -> None:
    chain = {f"c{n}": {"steps": [{"id": "s", "call": {"workflow": f"c{n + 1}"}}, reply(n)]} for n in range(5)}
    endless = {"id": "passes", "loop": {"while": "true", "steps": [{"id": "pause", "delay": {"for": "20ms"}}]}}
    # time enough to come to the innermost one, also where all else of a test run is in memory to be collected
    made, scene = await perform([{"id": "s", "call": {"workflow": "c0"}}, reply(1)], left_ms=1_000,
                                others=workflows(**chain, c5={"steps": [endless]}))
    tasks = scene.tally.tasks
    assert (type(made), made.members["step"]) == (TimedOut, "pause")
    await asyncio.sleep(0.1)
    assert scene.tally.tasks == tasks


async def test_delay_past_the_deadline_fails_at_once() -> None:
    began = time.monotonic()
    assert isinstance(await error_of({"id": "d", "delay": {"for": "1m"}}, reply()), TimedOut)
    late = {"id": "d", "delay": {"until": "2099-01-01T00:00:00Z"}}
    assert isinstance(await error_of(late, reply()), TimedOut)
    assert time.monotonic() - began < 1
    assert await body_of({"id": "d", "delay": {"until": "{% 5 %}"}}, reply()) == {"d": None}
    assert "until" in str(await error_of({"id": "d", "delay": {"until": "tomorrow"}}, reply()))


async def test_stop_ends_the_workflow_without_an_answer() -> None:
    error = await error_of({"id": "s", "stop": {}, "if": "true"}, reply())
    assert "ended without a reply" in str(error)


# what no JSON is written of
DEEP = "{% $reduce([1..300], function($a, $b) { {'a': $a} }) %}"


async def test_number_beyond_64_bits_is_written_as_the_number_that_it_is() -> None:
    # it comes from callers, too: a body is JSON with any number
    steps = [value("x", "{% trigger.body.n * 4 %}"), value("text", "{% trigger.body.n * -4 %} of them"),
             {"id": "y", "script": {"input": "{% {'n': steps.x} %}", "code": "return input.n / 2"}}]
    made = await body_of(*steps, reply("{% [steps.x, steps.y, steps.text] %}"), trigger={
        "body": {"n": 18446744073709551616.0}})
    assert made == [73786976294838206464, 36893488147419103232, "-7.378697629483821e+19 of them"]


@pytest.mark.parametrize("step", [
    {"id": "bad", "if": "$number('x') = 1", "transform": {"value": 1}},
    {"id": "bad", "fail": {"message": "x"}, "fallback": "{% $number('x') %}"},
    {"id": "bad", "loop": {"over": [1], "collect": "{% $number('x') %}", "steps": [value("x", 1)]}}],
    ids=["condition", "fallback", "collect"])
async def test_expression_that_fails_names_its_step_wherever_it_stands(step: Json) -> None:
    assert (await error_of(step, reply())).members["step"] == "bad"


async def test_end_of_time_and_wrong_reply_name_the_step_that_ran() -> None:
    slow = {"id": "passes", "loop": {"while": "true", "steps": [{"id": "pause", "delay": {"for": "20ms"}}]}}
    error = await error_of(slow, reply(), left_ms=200)
    assert (type(error), error.members["step"]) == (TimedOut, "pause")
    wrong = await error_of(reply(DEEP))
    assert (str(wrong.reason), wrong.members["step"]) == ("reply-invalid", "answer")


@pytest.mark.parametrize(("step", "kind"), [
    ({"script": {"code": "return 'x'.repeat(5.01e6)"}}, "output-too-large"),
    ({"script": {"code": "return '\\ud800'"}}, "script-error"),
    ({"transform": {"value": DEEP}}, "output-unusable"),
    ({"script": {"input": DEEP, "code": "return 1"}}, "step-broken"),
    *(({"loop": {"over": "{% [1..99] %}", "concurrency": lanes, "steps": [
        {"id": "x", "script": {"code": "return 'x'.repeat(1e5)"}}]}}, "output-too-large") for lanes in (1, 3))],
    ids=["too large", "half a character", "nested too deep", "cannot go in", "passes", "passes at the same time"])
async def test_value_that_cannot_be_kept_is_an_error_of_its_step(step: Json, kind: str) -> None:
    bad = {"id": "bad", **step}
    assert (await error_of(bad, reply())).members["error"] == kind
    assert await body_of({**bad, "fallback": 7}, reply("{% steps.bad %}")) == 7


async def test_what_stands_in_for_an_output_is_as_small_as_one() -> None:
    large = ["{% $pad('x', 900000) %}"] * 6
    error = await error_of({"id": "bad", "fail": {"message": "x"}, "fallback": large}, reply())
    assert (error.members["error"], error.members["step"]) == ("output-too-large", "bad")


async def test_headers_of_a_reply_are_texts_as_json_has_them() -> None:
    made, _ = await perform([{"id": "a", "reply": {"headers": {
        "x-true": "{% true %}", "x-null": "{% null %}", "x-one": "{% {'a': 1} %}"}}}])
    assert made.headers == {"x-true": "true", "x-one": '{"a":1}'}
