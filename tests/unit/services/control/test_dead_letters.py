"""A dead letter is sent again once, however many ask for it at the same time."""

import asyncio
from types import SimpleNamespace
from typing import Any

from services.control.faults import Conflict
from services.control.letter_box import Letter, LetterBox
from services.control.resources.dead_letters import HowToReplay, drop_letter, replay_letter
from shared.contracts.origin import Origin
from shared.names import topics
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
