"""JavaScript of workflows: what it gives, and where it ends."""

import asyncio
import time
from typing import Any

import pytest

from services.executor.scripts import Scripts
from tests.unit.services.executor.test_walk import body_of, error_of, reply


def script(code: str, given: Any = None) -> dict[str, Any]:
    return {"id": "s", "script": {"input": given, "code": code}}


@pytest.mark.parametrize(("code", "given", "gives"), [
    ("return input.n + 1", {"n": "{% trigger.n %}"}, 8), ("return {a: [1, null, 'ü']}", None, {"a": [1, None, "ü"]}),
    ("// nothing", None, None), ("return x => x", None, None),
    ("const f = x => x * 2\nreturn input.map(f)", [1, 2], [2, 4]),
    ("return typeof require + typeof fetch + typeof std + typeof os", None, "undefined" * 4)])
async def test_script_gives_what_it_returns(code: str, given: Any, gives: Any) -> None:
    made = script(code, given)
    assert await body_of(made, reply({"made": "{% steps.s %}"}), trigger={"n": 7}) == {"made": gives}


async def test_nothing_of_a_run_is_left_for_the_next() -> None:
    leave = {**script("globalThis.left = 1; return 1"), "id": "first"}
    assert await body_of(leave, script("return typeof left"), reply("{% steps.s %}")) == "undefined"


@pytest.mark.parametrize(("code", "kind"), [
    ("while (true) {}", "script-timeout"), ("/(a+)+$/.test('a'.repeat(50) + 'b')", "script-timeout"),
    ("const a = []; while (true) a.push('x'.repeat(1000))", "script-memory"),
    ("return 'x'.repeat(1 << 28)", "script-memory"),
    ("function f() { return f() }; return f()", "script-error"), ("throw new Error('no')", "script-error"),
    ("return input.a.b", "script-error")])
async def test_script_that_goes_wrong_has_an_error_of_its_own(code: str, kind: str) -> None:
    error = await error_of(script(code, {}), reply())
    assert error.members["error"] == kind


async def test_event_loop_goes_on_while_scripts_run() -> None:
    scripts = Scripts(time_ms=300, memory_bytes=16_000_000, threads=1)
    running = [asyncio.create_task(scripts.run("while (true) {}", None)) for _ in range(2)]
    longest, last = 0.0, time.monotonic()
    while not all(task.done() for task in running):
        await asyncio.sleep(0.001)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    await asyncio.gather(*running, return_exceptions=True)
    await scripts.stop()
    # held up, it would be so for the time of a whole script
    assert longest < 0.25
