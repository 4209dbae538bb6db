"""Usage that cannot be read in time."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.control.api import Call
from services.control.resources import usage as module
from services.control.resources.usage import usage_of_all, verify_all
from shared.errors import TimedOut, Unavailable
from tests.support.fakes import StoppedClock


class Slow:
    """A store that takes its time for counters; `hangs`: for a word, too."""

    def __init__(self, *, hangs: bool) -> None:
        self.hangs = hangs

    async def answer(self, _: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def ping(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()


@pytest.mark.parametrize(("hangs", "why"), [(True, "the store does not answer"), (False, "a shorter range")])
async def test_query_without_an_answer_says_whether_the_store_hangs_or_has_much_to_read(
        hangs: bool, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PING_S", 0.02)
    store = Slow(hangs=hangs)
    desk: Any = SimpleNamespace(clock=StoppedClock(), store=store, queries=store, query_timeout_ms=20)
    with pytest.raises(TimedOut, match=f"no answer within 20 ms: .*{why}"):
        await usage_of_all(Call(desk=desk, path={}, query={}))


async def test_recount_that_analytics_cannot_do_says_why_in_words() -> None:
    async def ask(*_: Any) -> Any:
        return SimpleNamespace(status=503, body=b'{"title":"The store is not available","status":503,"detail":"gone"}')
    desk: Any = SimpleNamespace(clock=StoppedClock(), caller=SimpleNamespace(ask=ask), verify_timeout_ms=20)
    with pytest.raises(Unavailable, match=r"^analytics answered 503: The store is not available: gone$"):
        await verify_all(Call(desk=desk, path={}, query={}))
