"""Signals that an operator lists."""

import pytest

from services.control.resources.signals import list_signals
from shared.contracts.signal import EVERYWHERE, FOREVER, MANUAL, Signal
from tests.support.calls import NOW
from tests.unit.services.control.desk import Desks


@pytest.mark.parametrize(("asked", "listed"), [("p", ["1", "3"]), (EVERYWHERE, ["1", "2", "3"])])
async def test_signals_of_a_project_are_listed_with_those_for_all_and_without_a_name_those_of_all(
        asked: str, listed: list[str]) -> None:
    desks = Desks()
    desks.put(1, {})
    desks.book.signals.take([
        Signal(project=project, kind="client", subject=subject, action="block", until=FOREVER, time=NOW + int(subject),
               detector=MANUAL) for subject, project in (("1", "p"), ("2", "other"), ("3", EVERYWHERE))])
    found = (await list_signals(desks.call(project=asked))).body
    assert [signal["subject"] for signal in found] == listed
