"""Durable walks that end in the middle and are taken up again: what was decided and what was done stays."""

import asyncio
import base64
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest
from aiohttp import web

from services.executor.journal import Journals
from services.executor.scene import Parked
from shared.contracts.sealed import Seal
from shared.errors import TimedOut, Unavailable, UpstreamFailed
from shared.runtime.tasks import Tasks
from shared.store.journal import Note
from shared.store.redis import StoreUnavailable
from tests.support.outside import serving
from tests.unit.services.executor.test_run import nowhere, perform

Json = dict[str, Any]
ANSWER: Json = {"id": "answer", "reply": {"body": "{% steps.way %}"}}


class Kept:
    """Stands for the store: all notes of all journals."""

    def __init__(self) -> None:
        self.notes: dict[str, bytes] = {}
        self.walk = 0

    async def begin(self, *_: Any) -> tuple[int, dict[str, bytes]]:
        self.walk += 1
        return self.walk, dict(self.notes)

    async def write(self, _: Any, notes: Sequence[Note]) -> list[bool]:
        self.notes |= {path: value for _, walk, path, value, _ in notes if walk == self.walk}
        return [walk == self.walk for _, walk, _, _, _ in notes]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    found = Kept()
    monkeypatch.setattr("services.executor.journal.begin", found.begin)
    monkeypatch.setattr("services.executor.journal.write", found.write)
    return found


@pytest.fixture
async def journals(kept: Kept) -> Journals:
    return Journals(nowhere(), Tasks(), Seal(base64.urlsafe_b64encode(bytes(32)).decode()))


class Outside:
    """Remembers bodies by path and key of the effect; `fails`: how often a path does; `hangs`: until it is told."""

    def __init__(self) -> None:
        self.asked: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self.fails: dict[str, int] = {}
        self.hangs: set[str] = set()
        self.hung = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.asked[request.path][request.headers["idempotency-key"]].append(await request.text())
        if request.path in self.hangs:
            self.hung.set()
            await asyncio.sleep(5)
        if self.fails.get(request.path, 0) > 0:
            self.fails[request.path] -= 1
            return web.Response(status=500)
        return web.json_response(request.path)

    def keys(self, path: str) -> list[str]:
        return list(self.asked[path])

    def bodies(self, path: str) -> list[str]:
        return [body for bodies in self.asked[path].values() for body in bodies]


@pytest.fixture
async def outside() -> AsyncIterator[tuple[Outside, str]]:
    found = Outside()
    async with serving(found.handle) as base:
        yield found, base


def post(step_id: str, base: str, body: Any = None) -> Json:
    return {"id": step_id, "http": {"method": "POST", "url": f"{base}/{step_id}", "body": body}}


async def killed(outside: Outside, steps: list[Json], **more: Any) -> None:
    """A walk that ends inside the call that hangs."""
    walk = asyncio.create_task(perform(steps, workflow={"durable": True}, **more))
    await asyncio.wait_for(outside.hung.wait(), 5)
    walk.cancel()
    await asyncio.wait([walk])
    outside.hangs.clear()


def way_by(kind: str, base: str, name: str) -> Json:
    """Calls `a1` and `a2` when `name` is drawn, `b1` and `b2` otherwise."""
    one, other = [post("a1", base), post("a2", base)], [post("b1", base), post("b2", base)]
    if kind == "branch":
        return {"branch": {"if": f"trigger.drawn = '{name}'", "then": one, "else": other}}
    return {"switch": {"value": "{% trigger.drawn %}", "cases": {name: one}, "default": other}}


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(("kind", "name", "drawn", "taken", "given"), [
    ("branch", "x", ["x", "y"], "a", "then"), ("branch", "x", ["y", "x"], "b", "else"),
    ("switch", "x", ["x", "y"], "a", "x"), ("switch", "x", ["y", "x"], "b", "default"),
    ("switch", "default", ["default", "y"], "a", "default"), ("switch", "default", ["y", "default"], "b", "default")])
async def test_way_that_was_taken_is_taken_again_whatever_its_expression_gives_now(
        kind: str, name: str, drawn: list[str], taken: str, given: str, mask: bool, kept: Kept, journals: Journals,
        outside: tuple[Outside, str]) -> None:
    system, base = outside
    system.hangs = {"/a2", "/b2"}
    steps = [{"id": "way", "mask": mask, **way_by(kind, base, name)}, ANSWER]
    await killed(system, steps, journals=journals, trigger={"drawn": drawn[0]})
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals, trigger={"drawn": drawn[1]})
    assert made.body == f'"{given}"'.encode()
    assert {path: len(keys) for path, keys in system.asked.items()} == {f"/{taken}1": 1, f"/{taken}2": 1}
    assert (b"sealed" in kept.notes["way/way"]) == mask


def holders(base: str) -> list[tuple[Json, str]]:
    """Steps that hold others, and where `pay` stands in the first try of each and in the second."""
    held = [{"id": "draw", "transform": {"value": "{% $random() %}"}}, post("pay", base, {"sum": "{% steps.draw %}"}),
            post("flaky", base)]
    return [({"branch": {"if": "true", "then": held}}, "r/blk{}/pay"),
            ({"parallel": {"branches": {"one": held}}}, "r/blk{}/pay"),
            ({"loop": {"over": [1], "steps": held}}, "r/blk{}[0]/pay"),
            ({"loop": {"over": [1], "steps": [{"id": "in", "branch": {"if": "true", "then": held}}]}},
             "r/blk{}[0]/in/pay")]


@pytest.mark.parametrize("number", range(4), ids=["branch", "parallel", "loop", "branch in a loop"])
async def test_each_try_of_a_step_that_holds_others_has_effects_of_its_own(
        number: int, kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    step, place = holders(base)[number]
    system.fails = {"/flaky": 2}
    made, _ = await perform([{"id": "blk", "retry": {"attempts": 3, "delay": "1ms"}, **step}, ANSWER],
                            workflow={"durable": True}, journals=journals)
    assert made.status == 200
    assert system.keys("/pay") == [place.format(which) for which in ("", "#2", "#3")]
    bodies = [body for asked in system.asked["/pay"].values() for body in asked]
    assert len(set(bodies)) == len(bodies) == 3


async def test_walk_that_ends_in_a_further_try_goes_on_in_that_try(
        kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    step, _ = holders(base)[0]
    steps = [{"id": "blk", "retry": {"attempts": 3, "delay": "1ms"}, **step}, post("last", base), ANSWER]
    system.fails, system.hangs = {"/flaky": 1}, {"/last"}
    await killed(system, steps, journals=journals)
    made, scene = await perform(steps, workflow={"durable": True}, journals=journals)
    assert made.status == 200
    assert {path: {key: len(bodies) for key, bodies in keys.items()} for path, keys in system.asked.items()} == {
        "/pay": {"r/blk/pay": 1, "r/blk#2/pay": 1}, "/flaky": {"r/blk/flaky": 1, "r/blk#2/flaky": 1},
        "/last": {"r/last": 2}}
    # the trigger, the block, twice what stands in it, the last call and the answer
    assert (scene.tally.tasks, scene.tally.retries) == (1 + 1 + 2 * 3 + 2, 1)


async def test_execution_that_failed_in_its_last_try_goes_on_there(
        kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    step, _ = holders(base)[0]
    steps = [{"id": "blk", "retry": {"attempts": 2, "delay": "1ms"}, **step}, ANSWER]
    system.fails = {"/flaky": 2}
    error, _ = await perform(steps, workflow={"durable": True}, journals=journals)
    assert isinstance(error, UpstreamFailed)
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals)
    assert made.status == 200
    assert system.keys("/pay") == ["r/blk/pay", "r/blk#2/pay"]
    assert {key: len(bodies) for key, bodies in system.asked["/flaky"].items()} == {
        "r/blk/flaky": 1, "r/blk#2/flaky": 2}


async def test_catch_of_a_call_has_effects_and_notes_of_its_own_whatever_the_called_steps_are_named(
        kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    steps = [{"id": "sub", "call": {"workflow": "other"}, "catch": [post("pay", base, "back"), post("last", base)]},
             ANSWER]
    others = {"other": {"name": "other", "durable": True,
                        "steps": [post("pay", base, "there"), {"id": "no", "fail": {"message": "no"}}]}}
    system.hangs = {"/last"}
    await killed(system, steps, journals=journals, others=others)
    assert system.asked["/pay"] == {"r/sub/pay": ["there"], "r/sub!/pay": ["back"]}
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals, others=others)
    assert made.status == 200
    assert system.asked["/pay"] == {"r/sub/pay": ["there"], "r/sub!/pay": ["back"]}


@pytest.mark.parametrize("lost", [False, True], ids=["slow", "lost"])
async def test_effect_waits_for_notes_that_a_step_beside_it_waits_for_already(
        kept: Kept, journals: Journals, outside: tuple[Outside, str], monkeypatch: pytest.MonkeyPatch,
        lost: bool) -> None:
    system, base = outside
    noted: list[str] = []

    async def write(_: Any, notes: Sequence[Note]) -> list[bool]:
        # long enough for whoever does not wait for it
        await asyncio.sleep(0.2)
        if lost:
            raise StoreUnavailable("away")
        noted.extend(f"{path} {len(system.asked)}" for _, _, path, _, _ in notes)
        return [True] * len(notes)
    monkeypatch.setattr("services.executor.journal.write", write)
    drawn = {"id": "drawn", "transform": {"value": "{% $random() %}"}}
    turn = {"id": "turn", "loop": {"over": [1], "steps": [{"id": "x", "if": "false", "stop": None}]}}
    others = {"other": {"name": "other", "durable": True, "steps": [post("beside", base)]}}
    made, _ = await perform([drawn, {"id": "sub", "call": {"workflow": "other", "wait": False}}, turn,
                             post("pay", base, "{% steps.drawn %}"), ANSWER], workflow={"durable": True},
                            journals=journals, others=others)
    if lost:
        assert (type(made), dict(system.asked)) == (Unavailable, {})
    else:
        assert (made.status, noted[0]) == (200, "drawn/ 0")


async def test_no_effect_comes_after_a_note_that_was_lost_though_later_ones_are_not(
        kept: Kept, journals: Journals, outside: tuple[Outside, str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(store: Any, notes: Sequence[Note]) -> list[bool]:
        if "one/" in {path for _, _, path, _, _ in notes}:
            raise StoreUnavailable("away")
        return await kept.write(store, notes)
    monkeypatch.setattr("services.executor.journal.write", write)
    system, base = outside
    steps = [{"id": "one", "transform": {"value": "{% $random() %}"}}, {"id": "pause", "loop": {
        "over": [1], "steps": [{"id": "x", "if": "false", "stop": None}]}}, {"id": "two", "transform": {"value": 2}},
        {"id": "more", "loop": {"over": [1, 2, 3], "steps": [{"id": "y", "if": "false", "stop": None}]}},
        post("pay", base), ANSWER]
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals)
    assert (type(made), system.keys("/pay"), "two/" in kept.notes) == (Unavailable, [], True)


async def test_error_of_a_step_is_read_as_before(
        kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    system.fails = {"/pay": 1}
    steps = [{**post("pay", base), "on_error": "continue"}, {"id": "no", "fail": {
        "message": "no", "error": "sold-out", "status": 409}, "on_error": "continue"}, ANSWER]
    _, first = await perform(steps, workflow={"durable": True}, journals=journals)
    _, again = await perform(steps, workflow={"durable": True}, journals=journals)
    assert {name: (error["kind"], error["status"]) for name, error in first.scope["errors"].items()} == {
        "pay": ("upstream-failed", 500), "no": ("sold-out", 409)}
    assert (again.scope["errors"], len(system.bodies("/pay"))) == (first.scope["errors"], 1)


async def test_caller_is_not_told_where_a_store_is_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    made, _ = await perform([ANSWER], workflow={"durable": True}, journals=Journals(nowhere(), Tasks()))
    assert isinstance(made, Unavailable)
    assert ("127.0.0.1" in str(made), "127.0.0.1" in caplog.text) == (False, True)


async def test_execution_that_is_ended_while_it_waits_for_its_notes_ends_without_a_word_in_the_log(
        kept: Kept, journals: Journals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def write(*_: Any) -> list[bool]:
        await asyncio.sleep(5)
        return []
    monkeypatch.setattr("services.executor.journal.write", write)
    steps = [{"id": "a", "transform": {"value": 1}}, post("pay", "http://127.0.0.1:9"), ANSWER]
    walk = asyncio.create_task(perform(steps, workflow={"durable": True}, journals=journals))
    await asyncio.sleep(0.1)
    walk.cancel()
    await asyncio.wait([walk])
    assert walk.cancelled()
    await asyncio.sleep(0)
    assert caplog.messages == []


async def test_error_that_no_try_follows_is_not_noted(
        kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    step, _ = holders(base)[0]
    steps = [{"id": "blk", "retry": {"attempts": 2, "delay": "1ms", "on": ["timeout"]}, **step}, ANSWER]
    system.fails = {"/flaky": 1}
    error, _ = await perform(steps, workflow={"durable": True}, journals=journals)
    assert isinstance(error, UpstreamFailed)
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals)
    assert (made.status, system.keys("/flaky")) == (200, ["r/blk/flaky"])


def said(text: str) -> str:
    """The same condition, of a kind that may hold now and not hold later."""
    return f"{text} and $random() < 2"


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(("drawn", "calls"), [(["x", "y"], 1), (["y", "x"], 0)])
async def test_step_that_was_wanted_is_wanted_again_whatever_its_condition_gives_now(
        drawn: list[str], calls: int, mask: bool, kept: Kept, journals: Journals,
        outside: tuple[Outside, str]) -> None:
    system, base = outside
    steps = [{**post("maybe", base), "if": said("trigger.drawn = 'x'"), "mask": mask}, post("last", base),
             {"id": "answer", "reply": {"body": "{% $exists(steps.maybe) %}"}}]
    system.hangs = {"/last"}
    await killed(system, steps, journals=journals, trigger={"drawn": drawn[0]})
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals, trigger={"drawn": drawn[1]})
    assert (made.body, len(system.asked["/maybe"])) == (orjson.dumps(calls > 0), calls)
    assert (b"sealed" in kept.notes["maybe/if"]) == mask


@pytest.mark.parametrize("drawn", [[2, 1], [1, 2]])
async def test_loop_has_as_many_passes_as_before_whatever_its_condition_gives_now(
        drawn: list[int], kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    steps = [{"id": "lines", "loop": {"while": said("loop.index < trigger.drawn"), "steps": [post("line", base)]}},
             post("last", base), {"id": "answer", "reply": {"body": "{% $count(steps.lines) %}"}}]
    system.hangs = {"/last"}
    await killed(system, steps, journals=journals, trigger={"drawn": drawn[0]})
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals, trigger={"drawn": drawn[1]})
    assert (int(made.body), len(system.asked["/line"])) == (drawn[0], drawn[0])
    assert sum(path.endswith("/while") for path in kept.notes) == drawn[0] + 1


def drawn_in(place: str, base: str) -> list[Json]:
    """Steps of which `last` tells what was drawn elsewhere than in a step that is noted itself."""
    told = post("last", base, "{% steps.told %}")
    if place in ("array", "object", "lanes"):
        over = {"a": "{% $random() %}", "b": 2} if place == "object" else ["{% $random() %}", 2]
        last = post("last", base, "{% loop.item %}")
        return [{"id": "told", "loop": {"over": over, "steps": [last], "concurrency": 1 + (place == "lanes")}}]
    if place == "collect":
        one = {"id": "one", "transform": {"value": 1}}
        return [{"id": "told", "loop": {"over": [1], "steps": [one], "collect": "{% $random() %}"}}, told]
    if place == "fallback":
        return [{"id": "told", "fail": {"message": "x"}, "fallback": {"sum": "{% $random() %}"}}, told]
    if place in ("body", "header"):
        return [{"id": "told", "call": {"workflow": "draws"}}, told]
    return [{"id": "told", "call": {"workflow": "other", "input": "{% $random() %}"}}]


@pytest.mark.parametrize(("place", "noted"), [
    ("array", "told/over"), ("object", "told/over"), ("lanes", "told/over"), ("collect", "told[0]/collect"),
    ("fallback", "told/fallback"), ("input", "told/input"), ("body", "told/back/body"),
    ("header", "told/back/headers/x-drawn")])
@pytest.mark.parametrize("mask", [False, True])
async def test_what_was_drawn_outside_of_a_noted_step_is_drawn_once(
        place: str, noted: str, mask: bool, kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    step, *rest = drawn_in(place, base)
    steps = [{**step, "mask": mask}, *rest, {"id": "answer", "reply": {}}]
    back = {"body": "{% $random() %}", "headers": {"x-drawn": "{% $random() %}"}}
    others = {"other": {"name": "other", "durable": True, "steps": [post("last", base, "{% trigger.body %}")]},
              "draws": {"name": "draws", "durable": True, "steps": [{"id": "back", "reply": back}]}}
    system.hangs = {"/last"}
    await killed(system, steps, journals=journals, others=others)
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals, others=others)
    assert made.status == 200
    asked = list(system.asked["/last"].values())
    assert any(len(bodies) == 2 for bodies in asked)
    assert all(len(set(bodies)) == 1 for bodies in asked)
    assert (b"sealed" in kept.notes[noted]) == mask


async def test_error_that_was_handled_is_met_again_whatever_its_expression_gives_now(
        kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    wanted = "trigger.drawn = 'x' ? $error('no') : $random() < 2"
    held = [{**post("inside", base), "if": wanted}]
    steps = [{"id": "blk", "branch": {"if": "true", "then": held}, "on_error": "continue"}, post("last", base), ANSWER]
    system.hangs = {"/last"}
    await killed(system, steps, journals=journals, trigger={"drawn": "x"})
    _, scene = await perform(steps, workflow={"durable": True}, journals=journals, trigger={"drawn": "y"})
    assert (system.keys("/inside"), "no" in scene.scope["errors"]["blk"]["message"]) == ([], True)


@pytest.mark.parametrize("step", [
    {"loop": {"over": "{% trigger.drawn = 'x' ? $error('no') : [$random()] %}"}},
    {"branch": {"if": "trigger.drawn = 'x' ? $error('no') : $random() < 2"}}], ids=["loop", "branch"])
@pytest.mark.parametrize("attempts", [1, 2])
async def test_error_that_ended_the_execution_is_not_met_again(
        step: Json, attempts: int, kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    (kind, settings), = step.items()
    steps = [{"id": "blk", kind: {**settings, "then" if kind == "branch" else "steps": [post("inside", base)]}}, ANSWER]
    if attempts > 1:
        steps[0]["retry"] = {"attempts": attempts, "delay": "1ms", "on": ["workflow-failed"]}
    error, _ = await perform(steps, workflow={"durable": True}, journals=journals, trigger={"drawn": "x"})
    assert "no" in str(error)
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals, trigger={"drawn": "y"})
    # what was tried again failed in its first try, and goes on in its last
    assert (made.status, len(system.keys("/inside"))) == (200, 1)
    assert system.keys("/inside")[0].startswith("r/blk#2" if attempts > 1 else "r/blk")


async def test_each_try_draws_anew_what_a_loop_goes_over(
        kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    system.fails = {"/flaky": 1}
    steps = [{"id": "blk", "retry": {"attempts": 2, "delay": "1ms"}, "loop": {
        "over": ["{% $random() %}"], "steps": [post("flaky", base, "{% loop.item %}")]}}, ANSWER]
    await perform(steps, workflow={"durable": True}, journals=journals)
    assert kept.notes["blk/over"] != kept.notes["blk#2/over"]
    assert [list(map(orjson.loads, bodies)) for bodies in system.asked["/flaky"].values()] == [
        orjson.loads(kept.notes[path])["output"] for path in ("blk/over", "blk#2/over")]


async def test_time_to_wait_for_stays_the_same(kept: Kept, journals: Journals) -> None:
    steps = [{"id": "pause", "delay": {"until": "{% $millis() + 1000 %}"}}, ANSWER]
    parked = []
    for _ in range(2):
        with pytest.raises(Parked) as raised:
            await perform(steps, workflow={"durable": True}, journals=journals, park_after_ms=1)
        parked.append(raised.value.until_ms)
        await asyncio.sleep(0.01)
    assert parked[0] == parked[1]


async def test_delay_until_a_time_beyond_all_numbers_ends_after_the_deadline(journals: Journals) -> None:
    steps = [{"id": "pause", "delay": {"until": "{% $millis() * 1e290 %}"}}, ANSWER]
    error, _ = await perform(steps, workflow={"durable": True}, journals=journals)
    assert isinstance(error, TimedOut)
    assert str(error).endswith(" ms ends after the deadline of the operation")
    assert len(str(error)) < 100


async def test_key_of_an_effect_is_no_longer_than_others_take(
        journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    step = post("deep", base)
    for _ in range(5):
        step = {"id": "l" * 60, "loop": {"over": [1], "steps": [step]}}
    for _ in range(2):
        await perform([step, ANSWER], workflow={"durable": True}, journals=journals)
    assert [len(key) for key in system.keys("/deep")] == [64]


async def walks(steps: list[Json], journals: Journals, park_after_ms: int = 100, **more: Any) -> Any:
    """What comes of one walk: its answer, or until when it is put aside."""
    try:
        made, _ = await perform(steps, workflow={"durable": True}, journals=journals, park_after_ms=park_after_ms,
                                left_ms=60_000, **more)
    except Parked as parked:
        return parked.until_ms
    return made


@pytest.mark.parametrize("holds", [False, True])
async def test_execution_is_put_aside_until_its_step_is_tried_again_and_no_try_is_counted_twice(
        holds: bool, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    system.fails = {"/flaky": 3}
    step = post("flaky", base)
    step = {**({"id": "way", "loop": {"over": [1], "steps": [step]}} if holds else {**step, "id": "way"}),
            "retry": {"attempts": 3, "delay": "600ms", "jitter": 0, "factor": 1}}
    for tried in (1, 2):
        until_ms = await walks([step, ANSWER], journals)
        assert await walks([step, ANSWER], journals) == until_ms
        assert len(system.bodies("/flaky")) == tried
        # it is taken up when its time has come, or before that by whoever looks what is stopped
        await asyncio.sleep(max(0.0, until_ms / 1000 - time.time()) + 0.001)
    made = await walks([step, ANSWER], journals)
    assert isinstance(made, UpstreamFailed)
    assert (len(system.bodies("/flaky")), made.members["attempt"]) == (3, 1 if holds else 3)
    assert len(system.keys("/flaky")) == (3 if holds else 1)
    # when it is resumed it goes on in the last try of what is held, and a step alone has all its tries again
    system.fails = {"/flaky": 1}
    assert isinstance(await walks([step, ANSWER], journals), UpstreamFailed if holds else int)


async def test_execution_that_runs_for_long_goes_on_with_another_record_at_its_next_step(
        journals: Journals, outside: tuple[Outside, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.executor.pauses._LONGEST_MS", 60)
    system, base = outside
    looks = {"id": "way", "loop": {"over": list(range(9)), "collect": "{% loop.item %}", "steps": [
        {"id": "wait", "delay": {"for": "15ms"}}, post("look", base)]}}
    parked = 0
    while isinstance(made := await walks([looks, ANSWER], journals, park_after_ms=60_000), int):
        parked += 1
        assert parked < 20
        assert made <= time.time() * 1000
    assert (made.body, len(system.keys("/look")), len(system.bodies("/look"))) == (b"[0,1,2,3,4,5,6,7,8]", 9, 9)
    assert parked >= 2
    # what it only finds again, however long that takes, is no work after which it would be handed on for ever
    slow = {**looks, "loop": {**looks["loop"], "collect": "{% $sum([1..20000]) > 0 ? loop.item : 0 %}"}}
    assert (await walks([slow, ANSWER], journals, park_after_ms=60_000)).status == 200
    # under a timeout it would begin anew: only the step after it is handed on
    around = {"id": "around", "timeout": "2s", "loop": {"over": [1], "steps": [looks]}}
    steps = [around, {"id": "answer", "reply": {"body": 1}}]
    assert (isinstance(await walks(steps, journals), int), len(system.bodies("/look"))) == (True, 18)
    assert (await walks(steps, journals)).status == 200


async def test_execution_that_does_not_run_alone_goes_on_where_it_is(
        journals: Journals, outside: tuple[Outside, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.executor.pauses._LONGEST_MS", 20)
    system, base = outside
    system.fails = {"/flaky": 1}
    other = {"name": "other", "durable": True, "steps": [{"id": "wait", "delay": {"for": "300ms"}}]}
    steps = [{"id": "beside", "call": {"workflow": "other", "wait": False}}, {"id": "wait", "delay": {"for": "25ms"}},
             {**post("flaky", base), "retry": {"attempts": 2, "delay": "40ms", "jitter": 0}},
             {"id": "answer", "reply": {"body": 1}}]
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals, others={"other": other},
                            park_after_ms=30)
    assert (made.status, len(system.bodies("/flaky"))) == (200, 2)


async def test_long_delay_does_not_wait_for_what_nobody_waits_for(journals: Journals) -> None:
    async def takes(delay: str, beside: str) -> Any:
        other = {"name": "other", "durable": True, "steps": [{"id": "wait", "delay": {"for": beside}}]}
        steps = [{"id": "beside", "call": {"workflow": "other", "wait": False}},
                 {"id": f"for_{delay}", "delay": {"for": delay}},
                 {"id": "answer", "reply": {"body": "{% $millis() %}"}}]
        return await perform(steps, workflow={"durable": True}, journals=journals, others={"other": other},
                             park_after_ms=50, left_ms=60_000)
    ends_ms = time.time() * 1000 + 800
    assert int((await takes("100ms", "800ms"))[0].body) < ends_ms
    with pytest.raises(Parked):
        await takes("20s", "20ms")


@pytest.mark.parametrize("step", [
    {"id": "way", "delay": {"for": "5s"}}, {"id": "way", "transform": {"value": 1}},
    {**post("way", "{% config.base %}"), "retry": {"attempts": 2, "delay": "5s"}}],
                         ids=["delay", "runs for long", "pause before a try"])
async def test_execution_is_not_put_aside_while_its_notes_are_not_safe(
        step: Json, kept: Kept, journals: Journals, outside: tuple[Outside, str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(*_: Any) -> list[bool]:
        raise StoreUnavailable("away")
    system, base = outside
    system.fails, steps, config = {"/way": 9}, [step, ANSWER], {"config": {"base": base}}
    if "transform" in step:
        monkeypatch.setattr("services.executor.pauses._LONGEST_MS", 0)
    assert isinstance(await walks(steps, journals, **config), int)
    kept.notes.clear()
    monkeypatch.setattr("services.executor.journal.write", write)
    assert isinstance(await walks(steps, journals, **config), Unavailable)


@pytest.mark.parametrize("seal", [None, Seal(base64.urlsafe_b64encode(bytes(31) + b"1").decode())],
                         ids=["no key", "another key"])
async def test_masked_step_whose_note_cannot_be_read_any_more_is_done_again(
        seal: Seal | None, kept: Kept, journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    steps = [{"id": "drawn", "transform": {"value": "{% $random() %}"}, "mask": True},
             {"id": "no", "fail": {"message": "s3cret"}, "mask": True, "on_error": "continue"},
             post("last", base, "{% steps.drawn %}"), {"id": "answer", "reply": {"body": 1}}]
    system.hangs = {"/last"}
    await killed(system, steps, journals=journals)
    before = kept.notes["drawn/"]
    made, _ = await perform(steps, workflow={"durable": True}, journals=Journals(nowhere(), Tasks(), seal))
    assert (made.status, len(set(system.bodies("/last")))) == (200, 2)
    # without a key there is no note of it
    assert (kept.notes["drawn/"] == before, b"sealed" in kept.notes["drawn/"]) == (seal is None, True)
    assert b"sealed" in kept.notes["no/"]


async def test_pause_that_is_short_or_stands_under_a_timeout_is_waited_for(
        journals: Journals, outside: tuple[Outside, str]) -> None:
    system, base = outside
    system.fails = {"/flaky": 1}
    step = {**post("flaky", base), "retry": {"attempts": 2, "delay": "50ms", "jitter": 0}}
    assert (await walks([step, ANSWER], journals)).status == 200
    system.fails = {"/flaky": 1}
    around = {"id": "around", "timeout": "2s", "loop": {"over": [1], "steps": [{**step, "id": "inner"}]}}
    assert (await walks([around, ANSWER], journals, park_after_ms=1)).status == 200


async def test_what_gives_the_same_each_time_is_not_noted(kept: Kept, journals: Journals) -> None:
    other = {"name": "other", "durable": True, "steps": [{"id": "back", "reply": {"body": "{% trigger.body %}"}}]}
    one = {"id": "one", "if": "trigger.yes", "transform": {"value": "{% $random() %}"}}
    steps = [one, {"id": "lines", "loop": {"over": "{% [steps.one] %}", "steps": [one], "collect": "{% loop.item %}"}},
             {"id": "more", "loop": {"while": "loop.index < 1", "steps": [one]}},
             {"id": "sub", "call": {"workflow": "other", "input": "{% steps.lines %}"}},
             {"id": "none", "fail": {"message": "x"}, "fallback": "{% steps.one %}"}, ANSWER]
    made, _ = await perform(steps, workflow={"durable": True}, journals=journals, trigger={"yes": True},
                            others={"other": other})
    assert (made.status, set(kept.notes)) == (200, {"one/", "lines[0]/one/", "more[0]/one/", "none/"})
