"""Answers that the store does not take at once."""

import asyncio
from typing import Any, cast

import pytest

from shared.contracts.kept_answer import KeptAnswer
from shared.runtime.tasks import Tasks
from shared.store import answer_keeper
from shared.store.answer_keeper import AnswerKeeper
from shared.store.redis import Store, StoreUnavailable


class Taking:
    """A store that takes answers, or is away."""

    def __init__(self) -> None:
        self.away, self.kept = True, dict[str, int]()

    async def command(self, _: str, key: str, value: bytes, *more: Any) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.kept[key] = KeptAnswer.from_bytes(value).status


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_keeper, "_REST_S", 0.005)


def answer(body: bytes = b"") -> KeptAnswer:
    return KeptAnswer(request_id="r", digest="d", status=201, body=body)


@pytest.mark.usefixtures("quick")
async def test_answer_that_the_store_did_not_take_is_kept_when_it_does_while_its_key_is_held() -> None:
    store = Taking()
    keeper = AnswerKeeper(cast(Store, store), Tasks())
    for key, held_ms in (("first", 10_000), ("over", 10), ("second", 10_000)):
        await keeper.keep(key, answer(), 60_000, held_ms)
    await asyncio.sleep(0.05)
    assert store.kept == {}
    store.away = False
    await asyncio.sleep(0.02)
    # the key of one is somebody else's by now
    assert store.kept == {"first": 201, "second": 201}
    store.away = True
    await keeper.keep("third", answer(), 60_000, 10_000)
    store.away = False
    await asyncio.sleep(0.02)
    assert store.kept["third"] == 201


@pytest.mark.usefixtures("quick")
async def test_answers_that_wait_for_the_store_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_keeper, "_MOST_BYTES", 1_000)
    store = Taking()
    keeper = AnswerKeeper(cast(Store, store), Tasks())
    for round_ in range(2):
        store.away = True
        for key in "abc":
            await keeper.keep(f"{key}{round_}", answer(bytes(300)), 60_000, 10_000)
        store.away = False
        await asyncio.sleep(0.02)
    assert sorted(store.kept) == ["a0", "a1", "b0", "b1"]
