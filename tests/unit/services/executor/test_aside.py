"""Expressions that take long keep nobody waiting."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from services.executor.aside import Aside
from shared.errors import TimedOut, WorkflowFailed
from shared.project.expressions import BOUNDS
from tests.unit.services.executor.test_journal import journals, kept
from tests.unit.services.executor.test_walk import Json, body_of, error_of, reply, value

__all__ = ["journals", "kept"]
# some hundred milliseconds: 21
LONG = "( $f := function($n){ $n < 2 ? $n : $f($n - 1) + $f($n - 2) }; $f(18) - 2563 )"
ENDLESS = "{% ($f := function($x) {$f($x)}; $f(1)) %}"


@pytest.fixture(autouse=True)
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(BOUNDS, "turn_ms", 2)
    return


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The projects for which something was computed in a thread."""
    found, run = [], Aside.run

    async def seen(self: Aside, compute: Any, project: str) -> Any:
        found.append(project)
        return await run(self, compute, project)
    monkeypatch.setattr(Aside, "run", seen)
    return found


def long(kind: str) -> list[Json]:
    """Steps of which one computes for long, and which give 21."""
    text, again = f"{{% {LONG} %}}", f"{LONG} = 21"
    return {
        "transform": [value("found", text)],
        "if": [{**value("found", 21), "if": again}],
        "branch": [{"id": "way", "branch": {"if": again, "then": [value("found", 21)], "else": []}}],
        "switch": [{"id": "way", "switch": {"value": text, "cases": {"21": [value("found", 21)]}}}],
        "fallback": [{"id": "found", "fail": {"message": "no"}, "on_error": "continue", "fallback": text}],
        "message": [{"id": "it", "fail": {"message": text}, "on_error": "catch", "catch": [
            value("found", "{% $number(errors.it.message) %}")]}],
        "over": [{"id": "passes", "loop": {"over": f"{{% [{LONG}] %}}", "steps": [value("one", "{% loop.item %}")]}},
                 value("found", "{% steps.passes %}")],
        "while": [{"id": "passes", "loop": {"while": f"loop.index < 1 and {again}", "steps": [value("one", 21)]}},
                  value("found", "{% steps.passes[0] %}")],
        "collect": [{"id": "passes", "loop": {"over": [1], "collect": text, "steps": [value("one", 1)]}},
                    value("found", "{% steps.passes[0] %}")],
        "headers": [value("found", 21), {"id": "last", "reply": {"headers": {"x-it": text}, "body": {"found": 21}}}],
        "body": [{"id": "last", "reply": {"body": {"found": text}}}],
        "delay": [{"id": "pause", "delay": {"until": f"{{% {LONG} %}}"}}, value("found", 21)],
    }[kind]


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("kind", ["transform", "if", "branch", "switch", "fallback", "message", "over", "while",
                                  "collect", "headers", "body", "delay"])
async def test_expression_that_takes_longer_than_a_turn_gives_the_same_in_a_thread(
        kind: str, durable: bool, computed: list[str], journals: Any) -> None:
    more: Json = {"workflow": {"durable": True}, "journals": journals} if durable else {}
    found = await body_of(*long(kind), reply(), left_ms=20_000, **more)
    assert found["found"] in (21, [21])
    assert set(computed) == {"p"}


async def test_others_go_on_while_an_expression_takes_all_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BOUNDS, "timeout_ms", 300)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1
    beside = asyncio.create_task(others())
    error = await error_of(value("it", ENDLESS), reply(), left_ms=20_000)
    beside.cancel()
    assert isinstance(error, WorkflowFailed)
    assert (error.members["error"], error.members["step"]) == ("expression-timeout", "it")
    assert turns >= 3


async def test_deadline_ends_the_wait_for_an_expression() -> None:
    error = await error_of(value("it", ENDLESS), reply(), left_ms=200)
    assert isinstance(error, TimedOut)
