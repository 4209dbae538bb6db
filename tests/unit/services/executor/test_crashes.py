"""Random durable workflows that die before each of their notes in turn: effects and answers are those of one walk."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.executor.journal import Journals
from services.executor.outside.client import OutsideClient, Request, Response
from services.executor.scene import Scene
from shared.contracts.reply import ReplyRecord
from shared.runtime.tasks import Tasks
from shared.store.journal import Note
from tests.unit.services.executor.test_run import nowhere, perform

Json = dict[str, Any]
OUTSIDE = "http://127.0.0.1:9"
# what is another in each walk
DRAWN, EVEN = "{% $random() < 2 ? trigger.drawn : 0 %}", "$random() < 2 and trigger.drawn % 2 = 0"
DRIVER = "driver"
RETRY = {"attempts": 2, "delay": "1ms", "jitter": 0, "on": ["workflow-failed", "upstream-failed", "call-failed"]}


KINDS = ("transform", "http", "fail", "call", "continue", "branch", "switch", "loop", "parallel", "reply")


class Dies:
    """Stands for the store. `budget`: so many writes are taken, and with the next one the executor dies, once."""

    def __init__(self, budget: int) -> None:
        self.notes: dict[str, bytes] = {}
        self.budget, self.walk, self.died = budget, 0, False

    async def begin(self, *_: Any) -> tuple[int, dict[str, bytes]]:
        self.walk += 1
        return self.walk, dict(self.notes)

    async def write(self, _: Any, notes: Sequence[Note]) -> list[bool]:
        self.budget -= 1
        if self.budget < 0 and not self.died:
            self.died = True
            for task in asyncio.all_tasks():
                if task.get_name() != DRIVER:
                    task.cancel()
            await asyncio.sleep(1)
        self.notes |= {path: value for _, walk, path, value, _ in notes if walk == self.walk}
        return [walk == self.walk for _, walk, _, _, _ in notes]


class Outside:
    """Remembers bodies by key; what it answers depends on the key and the path alone."""

    def __init__(self) -> None:
        self.asked: dict[str, set[tuple[str, bytes | None]]] = defaultdict(set)

    def stand_in(self) -> Any:
        async def exchange(_: OutsideClient, request: Request, *__: Any) -> Response:
            return await self.exchange(request)
        return exchange

    async def exchange(self, request: Request) -> Response:
        key = request.headers["idempotency-key"]
        self.asked[key].add((request.url.path, request.body))
        await asyncio.sleep(0)
        fails = request.url.path == "/fails" or (request.url.path == "/flaky" and "#" not in key)
        return Response(status=500 if fails else 200, headers={}, media="application/json",
                        charset=None, body=orjson.dumps({"key": key}))


Lists = st.SearchStrategy[list[Json]]
READ = "{% $string([READS, loop.index]) %}"
# what it gives, by kind
BODIES: dict[str, st.SearchStrategy[Json]] = {
    "transform": st.builds(dict, value=st.sampled_from([DRAWN, 1, READ])),
    "http": st.builds(dict, method=st.just("POST"), body=st.just(READ),
                      url=st.sampled_from([f"{OUTSIDE}/{path}" for path in ("ok", "ok", "flaky", "fails")])),
    "fail": st.builds(dict, message=st.sampled_from(["x", DRAWN])),
    "call": st.builds(dict, workflow=st.just("other"), input=st.sampled_from([1, DRAWN]),
                      wait=st.sampled_from([True, True, True, False])),
    "continue": st.just({})}


def holders(inner: Lists, passes: Lists, beside: Lists) -> dict[str, st.SearchStrategy[Json]]:
    """Steps that hold others, by kind."""
    return {
        "branch": st.fixed_dictionaries({"if": st.sampled_from(["true", "false", EVEN]), "then": inner, "else": inner}),
        "switch": st.fixed_dictionaries({"value": st.sampled_from(["a", f"{{% {EVEN} ? 'a' : 'b' %}}"]),
                                         "cases": st.fixed_dictionaries({"a": inner, "b": inner})}),
        "loop": st.fixed_dictionaries(
            {"over": st.sampled_from([[1], [1, 2], "{% $random() < 2 ? [trigger.drawn, 7] : 0 %}"]), "steps": passes,
             "concurrency": st.sampled_from([1, 1, 2])}, optional={"collect": st.just(DRAWN)}),
        "parallel": st.builds(dict, branches=st.fixed_dictionaries({"a": beside, "b": beside}))}


def lists(depth: int, *, called: bool = False, loop: bool = False) -> Lists:
    """Steps. `called`: of a workflow that others call; `loop`: inside one."""
    bodies = {kind: body for kind, body in BODIES.items()
              if (loop or kind != "continue") and not (called and kind == "call")}
    if depth:
        bodies |= holders(lists(depth - 1, called=called, loop=loop), lists(depth - 1, called=called, loop=True),
                          lists(depth - 1, called=called))
    catch = lists(0, called=called, loop=loop) if depth else st.just([{"id": "x", "transform": {"value": READ}}])
    handled = st.one_of(st.just({}), st.builds(dict, catch=catch),
                        st.builds(dict, fallback=st.sampled_from([None, DRAWN])))
    around = st.builds(lambda one, more: {**one, **more}, handled,
                       st.fixed_dictionaries({}, optional={"retry": st.just(RETRY)}))
    plain = st.fixed_dictionaries({}, optional={"if": st.just(EVEN)})
    kinds = [st.builds(lambda kind, body, how, when: {"id": "x", kind: body, **how, **when}, st.just(kind), body,
                       st.just({}) if kind in ("transform", "continue") else around, plain)
             for kind, body in bodies.items()]
    return st.lists(st.one_of(kinds), min_size=1, max_size=3)


def numbered(steps: list[Json], names: Iterator[str], known: tuple[str, ...] = ()) -> list[Json]:
    """The same steps, each with an id of its own; those that read do so what is certain to be there before them."""
    found = []
    for raw in steps:
        step = {**raw, "id": next(names)}
        kind = next(key for key in KINDS if key in step)
        reads = f"[{', '.join(known)}]"
        step[kind] = {key: numbered(value, names, known) if key in ("then", "else", "steps") else
                      {name: numbered(inner, names, known) for name, inner in value.items()}
                      if key in ("cases", "branches") else
                      value.replace("READS", reads) if isinstance(value, str) else value
                      for key, value in step[kind].items()}
        if "catch" in step:
            more = () if kind == "parallel" else (f"errors.{step['id']}.message",)
            step["catch"] = numbered(step["catch"], names, (*known, *more))
        found.append(step)
        known = (*known, f"steps.{step['id']}")
    return found


def names() -> Iterator[str]:
    return (f"s{number}" for number in itertools.count())


async def ended(steps: list[Json], other: Json, kept: Dies, drawn: Iterator[int]) -> tuple[Any, Scene]:
    """What comes of it, whoever dies on the way, once all that runs beside is noted."""
    while True:
        walk = asyncio.create_task(perform(
            steps, workflow={"durable": True}, others={"other": other}, left_ms=60_000, trigger={"drawn": next(drawn)},
            journals=Journals(nowhere(), Tasks())))
        await asyncio.wait([walk])
        for _ in range(5):
            await asyncio.sleep(0)
        if not walk.cancelled():
            return walk.result()


async def driven(*args: Any) -> tuple[Any, Scene]:
    task = asyncio.current_task()
    assert task is not None
    task.set_name(DRIVER)
    return await ended(*args)


ANSWER: Json = {"id": "answer", "reply": {"body": "{% $string([READS, $random() < 2 ? trigger.drawn : 0]) %}"}}
BACK: Json = {"id": "back", "reply": {"body": "{% [READS, $random() < 2 ? trigger.drawn : 0] %}"}}


# a branch that dies before its first turn was never begun
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=lists(2), called=lists(1, called=True))
def test_random_durable_workflow_has_one_body_for_each_key_and_one_answer_wherever_its_executor_dies(
        raw: list[Json], called: list[Json]) -> None:
    steps = numbered([*raw, ANSWER], names())
    other = {"name": "other", "durable": True, "steps": numbered([*called, BACK], names())}
    with pytest.MonkeyPatch.context() as patch:
        for number in range(12):
            kept, outside, drawn = Dies(number), Outside(), itertools.count()
            patch.setattr("services.executor.journal.begin", kept.begin)
            patch.setattr("services.executor.journal.write", kept.write)
            patch.setattr(OutsideClient, "exchange", outside.stand_in())
            made, scene = asyncio.run(driven(steps, other, kept, drawn))
            died, kept.died = kept.died, True
            assert {key: bodies for key, bodies in outside.asked.items() if len(bodies) > 1} == {}
            if isinstance(made, ReplyRecord):
                # the record comes once more
                again, more = asyncio.run(driven(steps, other, kept, drawn))
                assert again == made
                assert more.tally.tasks == scene.tally.tasks or "'parallel'" in str([raw, called])
            if not died:
                break
