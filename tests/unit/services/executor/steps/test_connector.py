"""Steps of a kind that somebody else has written, and does in odd ways."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from services.executor.steps import registry
from services.executor.steps.connector import ConnectorStep, connector_of
from shared.project.connectors import Call, Connector, ConnectorFailed
from shared.project.steps import registry as kinds
from shared.project.steps.base import StepSettings
from tests.unit.services.executor.test_walk import Json, body_of, error_of, reply

Work = Callable[[Any], Any]


class OddSettings(StepSettings):
    rows: Any = None


class Odd(Connector):
    Settings = OddSettings
    work: Work

    async def run(self, settings: Mapping[str, Any], call: Call) -> Any:
        return self.work(settings)


class Unmakable(Odd):
    def __init__(self) -> None:
        raise OSError("no license")


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Json]:
    def step(work: Work, **settings: Any) -> Json:
        connector = Odd()
        connector.work = work
        monkeypatch.setitem(kinds.STEP_SETTINGS, "odd", OddSettings)
        monkeypatch.setitem(registry.STEPS, "odd", partial(ConnectorStep, connector))
        return {"id": "o", "odd": settings}
    return step


def raising(error: BaseException) -> Work:
    def work(_: Any) -> None:
        raise error
    return work


async def test_what_it_gives_is_json_from_then_on(odd: Any) -> None:
    step = odd(lambda _: {"at": datetime(2026, 1, 31, tzinfo=UTC), "both": (1, 2)})
    assert await body_of(step, reply("{% steps.o.at & ' ' & $string(steps.o.both) %}")) == (
        "2026-01-31T00:00:00+00:00 [1,2]")


async def test_what_is_no_json_fails_the_step(odd: Any) -> None:
    assert (await error_of(odd(lambda _: {1: 2}), reply())).members["error"] == "output-unusable"


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(2), TimeoutError(), KeyError("x")])
async def test_whatever_it_raises_fails_the_step_alone(odd: Any, error: BaseException) -> None:
    step = {**odd(raising(error)), "fallback": "{% errors.o.kind %}"}
    assert await body_of(step, reply("{% steps.o %}")) == "connector-failed"


async def test_execution_that_is_to_end_ends_in_it(odd: Any) -> None:
    async def never() -> None:
        await asyncio.sleep(9)
    step = odd(lambda _: None)
    registry.STEPS["odd"].args[0].run = lambda *_: never()  # type: ignore[attr-defined]  # a partial
    assert "did not finish within 20 ms" in str(await error_of({**step, "timeout": "20ms"}, reply()))


async def test_workflow_that_nobody_waits_for_and_that_never_ends_ends_with_its_deadline(
        odd: Any, caplog: pytest.LogCaptureFixture) -> None:
    step = odd(lambda _: None)
    registry.STEPS["odd"].args[0].run = lambda *_: asyncio.Event().wait()  # type: ignore[attr-defined]  # a partial
    call = {"id": "c", "call": {"workflow": "w2", "wait": False}}
    async with asyncio.timeout(5):
        assert await body_of(call, reply(1), others={"w2": {"name": "w2", "steps": [step]}}, left_ms=500) == 1
    assert "workflow w2, which nobody waits for, did not finish in time" in caplog.text


@pytest.mark.parametrize("status", [200, 99, 302, "404", None, True, 600])
async def test_status_of_its_error_is_one_of_a_failure(odd: Any, status: Any) -> None:
    assert (await error_of(odd(raising(ConnectorFailed("no", status=status))), reply())).status == 500
    assert (await error_of(odd(raising(ConnectorFailed("no", status=409))), reply())).status == 409


async def test_settings_are_its_own_to_change(odd: Any) -> None:
    step = odd(lambda settings: settings["rows"].pop(), rows=[1, 2])
    twice = {"id": "l", "loop": {"over": [1, 2], "steps": [step]}}
    assert await body_of(twice, reply("{% steps.l %}")) == [2, 2]


async def test_one_that_cannot_be_made_fails_its_steps_alone(odd: Any, caplog: pytest.LogCaptureFixture) -> None:
    step = odd(lambda _: None)
    registry.STEPS["odd"] = partial(ConnectorStep, connector_of("odd", Unmakable))
    assert "does not start" in str(await error_of(step, reply()))
    assert "no license" in caplog.text


def test_program_that_ends_in_a_constructor_ends_no_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Odd, "__init__", lambda _: sys.exit(1))
    assert isinstance(connector_of("odd", Odd), Connector)
