"""Numbers in the address of an admin request: what is none is refused, whatever Python takes for a digit."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.control.api import Call, Handler
from services.control.letter_box import LetterBox
from services.control.resources.dead_letters import list_letters, show_letter
from services.control.resources.executions import list_executions
from services.control.resources.projects import version
from services.control.resources.traces import search
from services.control.resources.usage import usage_of_all
from shared.contracts.catalogue import Catalogue
from shared.contracts.origin import Origin
from shared.errors import BadRecord, WeirError
from tests.support.fakes import StoppedClock


@pytest.mark.parametrize("number", ["²", "٣", "1" * 5_000, "-1", "1.5", "1_0", " 1", ""])
@pytest.mark.parametrize(("handler", "path", "query"), [
    (version, "version", ""), (list_executions, "", "limit"), (list_letters, "", "limit"), (show_letter, "id", ""),
    (search, "", "since"), (search, "", "status"), (usage_of_all, "", "until"), (usage_of_all, "", "top")])
async def test_what_is_no_number_is_refused(handler: Handler, path: str, query: str, number: str) -> None:
    desk: Any = SimpleNamespace(registry=SimpleNamespace(catalogue=Catalogue()), letters=LetterBox(1),
                                clock=StoppedClock(), store=None, traces=None)
    call = Call(desk=desk, path={"project": "p", path: number}, query={query: number})
    with pytest.raises(WeirError) as refused:
        await handler(call)
    assert refused.value.status in (400, 404)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("handler", [list_executions, list_letters, search])
@pytest.mark.parametrize("number", ["0", "1001"])
async def test_more_rows_than_a_listing_has_are_refused_and_not_left_out(handler: Handler, number: str) -> None:
    desk: Any = SimpleNamespace(traces=None, letters=None, store=None)
    with pytest.raises(WeirError, match="limit is a whole number from 1 to 1000, not"):
        await handler(Call(desk=desk, path={"project": "p"}, query={"limit": number}))


@pytest.mark.parametrize("text", ["t/²/1", "t/1/²", "t/٣/1"])
def test_place_of_a_record_has_digits_of_ascii(text: str) -> None:
    with pytest.raises(BadRecord):
        Origin.parse(text)
