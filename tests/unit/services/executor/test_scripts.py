"""JavaScript of workflows: what it gives, and where it ends."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from services.executor.scripts import Scripts
from shared.errors import WorkflowFailed
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


@pytest.mark.parametrize(("code", "says"), [
    ("const a = input.a\nreturn a.b.c", "TypeError: cannot read property 'c' of undefined, in line 2 of the script"),
    ("return [1].map(\n  x => x.y.z)", "TypeError: cannot read property 'z' of undefined, in line 2 of the script"),
    ("throw Symbol('x')", "it throws something that is no text"),
    ("throw {toString() { throw 1 }}", "it throws something that is no text"),
    ("throw 'sold out'", "sold out"), ("return 1n", "TypeError: BigInt are forbidden in JSON.stringify")])
async def test_error_of_a_script_says_in_which_of_its_lines(code: str, says: str) -> None:
    assert str(await error_of(script(code, {"a": {}}), reply())) == f"the script failed: {says}"


@pytest.mark.parametrize("code", [
    "return Promise.resolve(1)", "const f = async () => 5; return f()",
    "return {all: input.map(async x => x * 2)}"])
async def test_promise_is_no_value(code: str) -> None:
    error = await error_of(script(code, [1, 2]), reply())
    assert error.members["error"] == "script-error"
    assert "it gives a Promise, for which nobody waits" in str(error)


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


@pytest.fixture
async def scripts() -> AsyncIterator[Scripts]:
    made = Scripts(time_ms=300, memory_bytes=32_000_000, threads=2)
    yield made
    await made.stop()


# the engine asks nobody inside of these, and they would take hours
ENDLESS = ["return Array.prototype.join.call({length: 2 ** 31}, '').length",
           "Array.prototype.reverse.call({length: 1e15})",
           "let s = 'a'.repeat(4e6) + 'b'; return s.lastIndexOf('a'.repeat(2e6) + 'c')",
           "throw {toString() { while (true); }}"]


@pytest.mark.parametrize("code", ENDLESS)
async def test_script_that_the_engine_cannot_stop_ends_at_its_bound(scripts: Scripts, code: str) -> None:
    await scripts.run("return 1", None)
    began = time.monotonic()
    with pytest.raises(WorkflowFailed) as failed:
        await scripts.run(code, None)
    assert failed.value.members["error"] == "script-timeout"
    assert time.monotonic() - began < 2
    assert await scripts.run("return 1", None) == 1


async def test_scripts_that_were_given_up_hold_up_nobody(scripts: Scripts) -> None:
    async def given_up() -> None:
        async with asyncio.timeout(0.2):
            await scripts.run(ENDLESS[0], None, "theirs")
    assert {type(end) for end in await asyncio.gather(given_up(), given_up(), return_exceptions=True)} == {TimeoutError}
    async with asyncio.timeout(5):
        assert await scripts.run("return 1", None, "ours") == 1


@pytest.mark.parametrize(("code", "kind"), [
    ("throw null", "script-error"), ("throw new Error('interrupted by me')", "script-error"),
    ("throw new InternalError('interrupted')", "script-error"), ("throw new Error('out of memory')", "script-error"),
    ("const a = []; while (true) a.push({})", "script-memory")])
async def test_error_is_told_as_what_it_is(code: str, kind: str) -> None:
    # it takes a while to fill memory with what is small
    patient = Scripts(time_ms=5_000, memory_bytes=16_000_000, threads=1)
    with pytest.raises(WorkflowFailed) as failed:
        await patient.run(code, None)
    await patient.stop()
    assert failed.value.members["error"] == kind


async def test_time_of_a_script_is_its_own(scripts: Scripts) -> None:
    # two thirds of the bound each, and together more than that
    code = "const until = Date.now() + 200; while (Date.now() < until); return 1"
    assert await asyncio.gather(scripts.run(code, None), scripts.run(code, None)) == [1, 1]


async def test_processes_end_with_whoever_began_them() -> None:
    program = ("import asyncio\nfrom services.executor.scripts import Scripts\n"
               "async def main():\n"
               "    scripts = Scripts(time_ms=300, memory_bytes=32_000_000, threads=2)\n"
               "    await asyncio.gather(*(scripts.run('return 1', None) for _ in range(2)))\n"
               "    print(*(process.pid for process in scripts._all), flush=True)\n"
               f"    await scripts.run({ENDLESS[1]!r}, None)\n"
               "asyncio.run(main())")
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    children = [psutil.Process(int(number)) for number in (await parent.stdout.readline()).split()]
    assert len(children) == 2
    parent.kill()
    await parent.wait()
    _, left = await asyncio.to_thread(psutil.wait_procs, children, timeout=5)
    assert left == []
