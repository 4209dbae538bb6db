"""When those are looked at again that there was no room for, and how long failed ones can be resumed."""

import asyncio
from collections import Counter
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from services.executor.journal import Journals
from services.executor.keeping import Keeping
from shared.contracts.execution import ExecutionRecord
from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.origin import Origin
from shared.contracts.reply import ReplyRecord
from shared.errors import Unavailable
from shared.runtime.tasks import Tasks
from shared.store import late
from shared.store.redis import StoreUnavailable
from tests.support.fakes import StoppedClock
from tests.support.platform import eventually
from tests.unit.services.executor.test_run import nowhere

HOUR_MS = 3_600_000


async def test_however_many_of_a_project_are_put_aside_few_are_looked_at_in_a_second(
        monkeypatch: pytest.MonkeyPatch) -> None:
    due: list[tuple[ExecutionRecord, int]] = []

    async def park(_: Any, execution: ExecutionRecord, due_ms: int) -> None:
        due.append((execution, due_ms))
    monkeypatch.setattr("services.executor.keeping.waiting.park", park)
    clock = StoppedClock()
    keeping = Keeping(nowhere(), nowhere(), cast(Any, clock), Journals(nowhere(), Tasks()), Tasks())
    record = ExecutionRecord(request_id="r", project="p", version=1, operation="o", client="c", source="edge",
                             origin=Origin("t", 0, 0), deadline_ms=clock.now + HOUR_MS)

    async def seconds(count: int, **more: Any) -> Counter[int]:
        """How many are looked at in which second from now."""
        due.clear()
        for _ in range(count):
            scene = SimpleNamespace(execution=msgspec.structs.replace(record, **more), accepted_ms=0)
            await keeping.put_aside(cast(Any, scene))
        return Counter((due_ms - clock.now) // 1_000 for _, due_ms in due)
    assert set(await seconds(100)) <= {1, 2, 3, 4, 5}
    many = await seconds(30_000)
    assert all(count <= 300 for second, count in many.items() if second > 5)
    assert max(many) <= 101
    # another project does not stand in that line, and nobody is looked at long after its end
    assert set(await seconds(100, project="q")) <= {1, 2, 3, 4, 5}
    assert set(await seconds(1_000, deadline_ms=clock.now + 7_500)) <= {1, 2, 3, 4, 5, 7}
    assert set(await seconds(1, deadline_ms=clock.now)) == {1}
    clock.now += HOUR_MS
    assert set(await seconds(100)) <= {1, 2, 3, 4, 5}
    assert list(keeping._line_ms) == ["p"]


async def test_whoever_cannot_wait_is_not_told_where_the_store_is(caplog: pytest.LogCaptureFixture) -> None:
    keeping = Keeping(nowhere(), nowhere(), cast(Any, StoppedClock()), Journals(nowhere(), Tasks()), Tasks())
    record = ExecutionRecord(request_id="r", project="p", version=1, operation="o", client="c", source="edge",
                             origin=Origin("t", 0, 0), deadline_ms=HOUR_MS)
    with pytest.raises(Unavailable) as told:
        await keeping.park(cast(Any, SimpleNamespace(execution=record, accepted_ms=0)), 1, 1)
    assert ("127.0.0.1" in str(told.value), "127.0.0.1" in caplog.text) == (False, True)


@pytest.mark.parametrize(("keep_ms", "lasts"), [(0, []), (48 * HOUR_MS, [("p r", 48 * HOUR_MS)] * 2)])
async def test_journal_of_a_failed_execution_lasts_for_as_long_as_it_can_be_resumed(
        keep_ms: int, lasts: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[str, int]] = []

    async def keep_failed(_: Any, execution: ExecutionRecord, keep_ms: int) -> None:
        kept.append((f"{execution.project} {execution.request_id}", keep_ms))

    async def keep(_: Any, key: str, keep_ms: int) -> None:
        kept.append((key.removeprefix("weir:journal:").replace(":", " "), keep_ms))
    monkeypatch.setattr("services.executor.keeping.waiting.keep_failed", keep_failed)
    monkeypatch.setattr("services.executor.journal.keep", keep)
    keeping = Keeping(nowhere(), nowhere(), cast(Any, StoppedClock()), Journals(nowhere(), Tasks()), Tasks())
    await keeping.failed(ExecutionRecord(
        request_id="r", project="p", version=1, operation="o", client="c", source="edge", origin=Origin("t", 0, 0),
        deadline_ms=HOUR_MS, keep_ms=keep_ms))
    assert kept == lasts


async def test_place_key_and_answer_of_a_call_are_told_once_the_store_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_REST_S", 0.01)
    tries, done = count(), list[tuple[Any, ...]]()

    async def told(_: Any, *what: Any) -> None:
        if next(tries) < 4:
            raise StoreUnavailable("no answer")
        done.append(what[:2])
    for name in ("amounts.give_back", "idempotency.free", "idempotency.keep"):
        monkeypatch.setattr(f"shared.store.{name}", told)
    clock, tasks = StoppedClock(), Tasks()
    keeping = Keeping(nowhere(), nowhere(), cast(Any, clock), Journals(nowhere(), Tasks()), tasks)
    call = ExecutionRecord(
        request_id="r", project="p", version=1, operation="o", client="c", source="edge", origin=Origin("t", 0, 0),
        deadline_ms=clock.now + 60_000, holds=("place",), claim={"key": "k", "digest": "d", "keep_ms": 1})
    reply = ReplyRecord(request_id="r", status=200)
    await keeping.give_back(call, 200)
    await keeping.free(call)
    await keeping.answer(call, reply)
    assert done == []
    await eventually(lambda: len(done) == 3)
    assert (done[0], done[1][0], done[2]) == (("r", ("place",)), "k", ("k", KeptAnswer.of(reply, "d")))
    await asyncio.sleep(0.03)
    assert len(done) == 3
    # what one record of an id has is not that of another one
    one = msgspec.structs.replace(call, holder="r@t/0/0")
    await keeping.give_back(one, 200)
    await keeping.free(one)
    assert (done[3][0], done[4][1].request_id) == ("r@t/0/0", "r@t/0/0")
    await tasks.stop()
