"""A dead letter is sent again once, however many ask for it at the same time."""

import asyncio
from types import SimpleNamespace
from typing import Any

from services.control.faults import Conflict
from services.control.letter_box import Letter, LetterBox
from services.control.resources.dead_letters import HowToReplay, drop_letter, list_letters, replay_letter
from shared.contracts.dead_letter import DeadLetter
from shared.contracts.origin import Origin
from shared.names import topics
from tests.support.fakes import FakeRecord
from tests.unit.services.control.desk import Desks


def box() -> LetterBox:
    made = LetterBox(10)
    made._letters[7] = Letter(id=7, time=0, service="policy", error="x", origin=Origin(topics.REQUESTS_EDGE, 0, 1),
                              project="p", operation="o", request_id="r", size=1, cut=False, replay_of=None)
    return made


async def test_of_replays_at_once_one_is_sent() -> None:
    sent: list[str] = []

    class Counting(Desks):
        def send(self, topic: str, *rest: Any, **more: Any) -> Any:
            sent.append(topic)
            return super().send(topic, b"", [], more.get("key"))

    async def read(*_: Any) -> Any:
        await asyncio.sleep(0)
        return SimpleNamespace(value=b"v", key=None, headers=[])
    desks, letters = Counting(), box()
    for name, value in {"letters": letters, "letter_reader": SimpleNamespace(read=read)}.items():
        object.__setattr__(desks.desk, name, value)
    calls = [*(replay_letter(desks.call(HowToReplay(), id="7")) for _ in range(3)), drop_letter(desks.call(id="7"))]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in ended) == 3
    assert sent.count(topics.REQUESTS_EDGE) == 1
    assert [one.outcome for one in letters._letters[7].notes] == ["replayed"]
    # whoever means it may send it once more
    await replay_letter(desks.call(HowToReplay(again=True), id="7"))
    assert sent.count(topics.REQUESTS_EDGE) == 2


async def test_request_that_came_without_an_id_keeps_that_of_its_first_replay() -> None:
    async def read(*_: Any) -> Any:
        return SimpleNamespace(value=b"v", key=None, headers=[])
    desks, letters = Desks(), box()
    letters._letters[7].request_id = ""
    for name, value in {"letters": letters, "letter_reader": SimpleNamespace(read=read)}.items():
        object.__setattr__(desks.desk, name, value)
    first, second = [(await replay_letter(desks.call(HowToReplay(again=True), id="7"))).body["request_id"]
                     for _ in range(2)]
    assert first
    assert second == first


async def test_listing_says_how_many_letters_are_not_known_any_more() -> None:
    desks, letters = Desks(), LetterBox(2)
    for offset in range(5):
        letter = DeadLetter(origin=Origin(topics.REQUESTS_EDGE, 0, offset), service="policy", error="x", time_ms=1)
        letters.take(FakeRecord(topic=topics.DEAD_LETTERS, partition=0, offset=offset, timestamp=1,
                                headers=letter.to_headers([]), value=b""))
    object.__setattr__(desks.desk, "letters", letters)
    told = (await list_letters(desks.call())).body
    assert ([letter["id"] for letter in told["letters"]], told["total"], told["older"]) == ([4, 3], 2, 3)
