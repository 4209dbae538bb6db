"""Executions whose time has come."""

import asyncio
from typing import Any, cast

import pytest

from services.executor.waker import Waker
from shared.kafka.outbox import Outbox
from shared.runtime.tasks import Tasks
from shared.store.redis import Store
from tests.contract.test_left_behind import PARKED
from tests.support.fakes import FakeOutbox, StoppedClock


class Waiting:
    """A store in which some wait."""

    def __init__(self, records: dict[bytes, bytes | None]) -> None:
        """By their names."""
        self.records, self.done = records, list[Any]()

    async def run(self, script: str, keys: list[str], args: list[Any]) -> Any:
        assert (script, keys) == ("waiting", [])
        if args[0] == "due":
            return [part for pair in self.records.items() for part in pair]
        self.done.append(args[1])
        return None


@pytest.mark.parametrize(("record", "sent", "done", "says"), [
    (PARKED, 1, ["e-1"], ""), (None, 0, ["e-1"], "is gone"), (b"\x93", 0, [], "of the release that wrote it"),
    (PARKED.replace(b"shop", b"SHOP").replace(b"version", b"VERSION"), 0, [], "of the release that wrote it")],
    ids=["readable", "gone", "no record", "of another form"])
async def test_execution_that_waits_is_forgotten_once_it_goes_on_or_is_gone(
        record: bytes | None, sent: int, done: list[str], says: str, caplog: pytest.LogCaptureFixture) -> None:
    store, outbox = Waiting({b"e-1": record}), FakeOutbox()
    waker = Waker(cast(Store, store), cast(Outbox, outbox), Tasks(), StoppedClock())
    looking = asyncio.create_task(waker._look())
    for _ in range(5):
        await asyncio.sleep(0)
    # nothing is forgotten before the broker has it
    assert store.done == ([] if sent else done)
    for one in outbox.sent:
        one.done.set_result(None)
    await looking
    assert (len(outbox.sent), store.done) == (sent, done)
    assert says in caplog.text
