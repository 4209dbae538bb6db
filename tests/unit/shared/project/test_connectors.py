"""Kinds of steps that others write: which are taken, and that none of them takes anything down."""

import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from shared.project import connectors
from shared.project.connectors import Call, Connector
from shared.project.steps.base import StepSettings


class Whole(Connector):
    Settings = StepSettings

    async def run(self, settings: Any, call: Call) -> Any:
        return None


class WithoutRun(Connector):
    Settings = StepSettings


class WithoutSettings(Connector):
    async def run(self, settings: Any, call: Call) -> Any:
        return None


def found(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> dict[str, type[Connector]]:
    monkeypatch.setattr(connectors, "entry_points", lambda group: points if group == connectors.GROUP else ())
    return connectors.connectors.__wrapped__()


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{value}", connectors.GROUP)


@pytest.mark.parametrize("bad", [
    point("odd", "WithoutRun"), point("odd", "WithoutSettings"), point("odd", "point"), point("odd", "nothing"),
    # keys of every step: each step that has one would be of two kinds
    point("retry", "Whole"), point("if", "Whole"), point("id", "Whole")])
def test_one_that_is_none_is_left_out_and_the_others_are_there(bad: EntryPoint, monkeypatch: pytest.MonkeyPatch,
                                                               caplog: pytest.LogCaptureFixture) -> None:
    assert found(monkeypatch, bad, point("whole", "Whole")) == {"whole": Whole}
    assert f"connector {bad.name} " in caplog.text


def test_module_that_ends_its_program_ends_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _: sys.exit(2))
    assert found(monkeypatch, point("odd", "Whole")) == {}
