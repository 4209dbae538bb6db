"""The gate of the edge: queues stay short, nobody is refused for slow work, an overload costs the fewest."""

import asyncio
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingress import gate as gates
from services.ingress.gate import LEAST, Gate, Window, places
from shared.errors import Overloaded
from tests.support.fakes import StoppedClock

TARGET_MS, MOST = 100, 1_000


@pytest.fixture(autouse=True)
def _looks_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a moment makes no look in between; tests make their own."""
    monkeypatch.setattr(gates, "_LOOK_S", 3_600)


class Served:
    """A cluster that answers so many calls a second, each after `work_ms` of work beside its time in the queue."""

    def __init__(self, gate: Gate, clock: StoppedClock, per_ms: float, work_ms: int = 0) -> None:
        self.gate, self._clock, self._per_ms, self._work_ms = gate, clock, per_ms, work_ms
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._working: deque[tuple[int, int, asyncio.Future[None]]] = deque()
        self._due = 0.0
        self.took_ms: list[int] = []
        self.refused = 0

    async def call(self) -> None:
        came_ms = self._clock.now_ms()
        try:
            await self.gate.enter()
        except Overloaded:
            self.refused += 1
            await asyncio.sleep(0)
            return
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((self._clock.now_ms(), answer))
        try:
            await answer
        finally:
            self.gate.leave()
        self.took_ms.append(self._clock.now_ms() - came_ms)

    async def pass_ms(self) -> None:
        self._clock.now += 1
        now_ms = self._clock.now_ms()
        self._due = min(self._due + self._per_ms, len(self._queue) + 1.0)
        while self._due >= 1 and self._queue:
            self._due -= 1
            self._working.append((now_ms + self._work_ms, *self._queue.popleft()))
        while self._working and self._working[0][0] <= now_ms:
            _, published_ms, answer = self._working.popleft()
            took_us, worked_us = (now_ms - published_ms) * 1000, self._work_ms * 1000
            self.gate.told(took_us, {"policy-queue": took_us - worked_us, "executor": worked_us})
            if not answer.done():
                answer.set_result(None)
        for _ in range(3):
            await asyncio.sleep(0)


def served(per_ms: float, work_ms: int = 0) -> Served:
    clock = StoppedClock()
    return Served(Gate(clock, most=MOST, target_ms=TARGET_MS, patience_ms=60_000), clock, per_ms, work_ms)


async def closed_loop(cluster: Served, callers: int, for_ms: int) -> None:
    """So many callers, each of which calls again as soon as it has its answer."""
    async def caller() -> None:
        while True:
            await cluster.call()
    running = [asyncio.create_task(caller()) for _ in range(callers)]
    await asyncio.sleep(0)
    for _ in range(for_ms):
        await cluster.pass_ms()
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_callers_who_wait_for_their_answers_are_never_refused() -> None:
    cluster = served(per_ms=1)
    await closed_loop(cluster, MOST, 3_000)
    assert cluster.refused == 0
    assert len(cluster.took_ms) >= 2_990
    # what the cluster does not get done waits before it, not in it
    assert cluster.gate.places <= 2 * TARGET_MS


async def test_an_overload_keeps_the_cluster_busy_and_those_let_in_are_answered_soon() -> None:
    cluster, calls = served(per_ms=1), []
    for _ in range(6_000):
        calls += [asyncio.create_task(cluster.call()) for _ in range(3)]
        await asyncio.sleep(0)
        await cluster.pass_ms()
    late = sorted(cluster.took_ms[2_000:])
    assert len(cluster.took_ms) >= 5_900
    assert late[int(len(late) * 0.99)] <= 2 * TARGET_MS
    assert cluster.refused >= 10_000
    for one in calls:
        one.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_slow_work_is_no_queue() -> None:
    cluster = served(per_ms=10, work_ms=2_000)
    await closed_loop(cluster, MOST, 5_000)
    assert (cluster.refused, cluster.gate.places) == (0, MOST)
    assert len(cluster.took_ms) >= 2 * MOST


async def test_a_burst_after_silence_is_let_in() -> None:
    cluster = served(per_ms=10)
    await closed_loop(cluster, 1, 1_000)
    await closed_loop(cluster, MOST, 300)
    assert cluster.refused == 0
    assert len(cluster.took_ms) >= 2_900


@pytest.mark.parametrize("callers", [1, 20])
async def test_a_queue_that_few_calls_have_met_keeps_nobody_out(callers: int) -> None:
    cluster = served(per_ms=1, work_ms=2_000)
    await closed_loop(cluster, callers, 5_000)
    # nobody reads their records for a while
    cluster._due = -500
    await closed_loop(cluster, callers, 5_000)
    assert max(cluster.took_ms) >= 2_400
    assert cluster.gate.places == MOST


async def test_an_overload_that_was_long_ago_keeps_nobody_out() -> None:
    cluster = served(per_ms=1)
    await closed_loop(cluster, MOST // 2, 1_000)
    for _ in range(MOST):
        await cluster.pass_ms()
    assert cluster.gate.places < MOST
    cluster._clock.now += 600_000
    await closed_loop(cluster, 1, 50)
    assert cluster.gate.places == MOST


def full(patience_ms: int = 60_000, most: int = LEAST + 3) -> tuple[Gate, StoppedClock]:
    """A gate with `LEAST` places, all taken."""
    clock = StoppedClock()
    gate = Gate(clock, most=most, target_ms=TARGET_MS, patience_ms=patience_ms)
    for _ in range(LEAST):
        gate.told(10 * TARGET_MS * 1000, {"policy-queue": 10 * TARGET_MS * 1000})
    clock.now += 1_000
    gate.told(10 * TARGET_MS * 1000, {"policy-queue": 10 * TARGET_MS * 1000})
    return gate, clock


async def entered(gate: Gate, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(gate.enter()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def let_in(tasks: list[asyncio.Task[None]]) -> Iterator[int]:
    return (number for number, one in enumerate(tasks) if one.done())


async def test_the_line_is_served_in_order_until_somebody_has_to_be_refused() -> None:
    gate, clock = full()
    await entered(gate, LEAST)
    line = await entered(gate, 3)
    gate.leave()
    await asyncio.sleep(0)
    assert list(let_in(line)) == [0]
    line += await entered(gate, 1)
    with pytest.raises(Overloaded, match=r"67 requests are in flight already.*WEIR_INGRESS_MAX_IN_FLIGHT"):
        await gate.enter()
    gate.leave()
    await asyncio.sleep(0)
    assert list(let_in(line)) == [0, 3]
    clock.now += 1_001
    gate.leave()
    await asyncio.sleep(0)
    assert list(let_in(line)) == [0, 1, 3]


async def test_whoever_was_passed_over_is_let_in_once_nobody_is_refused() -> None:
    gate, clock = full()
    await entered(gate, LEAST)
    line = await entered(gate, 3)
    assert isinstance(gate.refusal(), Overloaded)
    clock.now += TARGET_MS + 1
    for _ in range(LEAST):
        gate.leave()
    gate._look_again()
    await asyncio.sleep(0)
    assert list(let_in(line)) == [], "while some are refused, places are for those who come"
    gate._look_again()
    await asyncio.sleep(0)
    assert list(let_in(line)) == [0, 1, 2], "nobody has come for these places"


async def refuse_one_and_empty(gate: Gate, line: list[asyncio.Task[None]]) -> None:
    """Somebody is refused, and all who wait hang up."""
    assert isinstance(gate.refusal(), Overloaded)
    for one in line:
        one.cancel()
    await asyncio.sleep(0)
    gate._look_again()


async def test_after_a_refusal_the_line_has_room_for_few_and_then_for_more() -> None:
    gate, _ = full(most=LEAST + 500)
    await entered(gate, LEAST)
    await refuse_one_and_empty(gate, await entered(gate, 500))
    few = await entered(gate, LEAST + LEAST // 8 + 1)
    assert [one.done() for one in few] == [False] * (len(few) - 1) + [True], "one more than there was room for"
    with pytest.raises(Overloaded, match="as many wait already as can be answered soon"):
        await few[-1]
    for _ in range(40):
        gate._look_again()
    assert not gate.full
    more = await entered(gate, 400)
    assert not any(one.done() for one in more), "nobody else was refused, so there is room again"
    for one in (*few, *more):
        one.cancel()
    await asyncio.gather(*few, *more, return_exceptions=True)


async def test_many_refusals_leave_the_line_short() -> None:
    gate, _ = full(most=LEAST + 500)
    await entered(gate, LEAST)
    line = await entered(gate, 500)
    for _ in range(20):
        for _ in range(2 * LEAST):
            gate.refused()
        gate._look_again()
    for one in line:
        one.cancel()
    await asyncio.sleep(0)
    few = await entered(gate, LEAST + 21)
    assert sum(one.done() for one in few) >= 1
    for one in few:
        one.cancel()
    await asyncio.gather(*few, return_exceptions=True)


async def test_those_on_their_way_to_the_gate_count_while_some_are_refused() -> None:
    gate, _ = full(most=LEAST + 500)
    gate.expect()
    assert not gate.full
    await entered(gate, LEAST - 1)
    await refuse_one_and_empty(gate, await entered(gate, 501))
    for _ in range(LEAST + LEAST // 8):
        assert not gate.full
        gate.expect()
    assert gate.full, "all that there is room for are on their way"
    assert gate.refusal() is None, "whoever has come is not on its way any more"
    for _ in range(6):
        await asyncio.sleep(0)
    assert not gate.full


async def test_whoever_has_waited_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "_LOOK_S", 0.1)
    gate, clock = full(patience_ms=50)
    await entered(gate, LEAST)
    [waits] = await entered(gate, 1)
    clock.now += 51
    with pytest.raises(Overloaded, match=r"no place came free within 50 ms.*WEIR_INGRESS_LINE_PATIENCE_MS") as refusal:
        await asyncio.wait_for(waits, 5)
    assert refusal.value.headers == {"Retry-After": "1"}
    assert gate.in_line == 0


async def test_whoever_hangs_up_as_it_is_refused_gives_no_place_back() -> None:
    gate, clock = full(patience_ms=50)
    inside = await entered(gate, LEAST)
    [waits] = await entered(gate, 1)
    clock.now += 51
    gate._look_again()
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    assert gate.in_line == 0
    # as many are inside as before: the next one waits
    [following] = await entered(gate, 1)
    assert not following.done()
    assert all(one.done() for one in inside)
    following.cancel()


async def test_whoever_hangs_up_leaves_the_line_and_no_place_is_lost() -> None:
    gate, _ = full()
    await entered(gate, LEAST)
    first, second = await entered(gate, 2)
    first.cancel()
    await asyncio.sleep(0)
    gate.leave()
    await asyncio.sleep(0)
    assert second.done()
    third, fourth = await entered(gate, 2)
    gate.leave()
    # it has its place, and does not know yet
    third.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert third.cancelled()
    assert fourth.done()


@pytest.mark.parametrize(("took_ms", "timing_ms"), [
    # it was put aside for a minute
    (60_000, {"policy-queue": 1, "executor-queue": 1, "executor": 5}),
    # the clock of the machine that read it is a minute ahead
    (10, {"policy-queue": 60_000, "executor-queue": 0}),
    # this process was too busy to read its answer
    (60_000, {"policy-queue": 1, "executor-queue": 1})])
def test_neither_what_was_put_aside_nor_a_wrong_clock_nor_a_busy_edge_is_a_queue(
        took_ms: int, timing_ms: dict[str, int]) -> None:
    clock = StoppedClock()
    gate = Gate(clock, most=MOST, target_ms=TARGET_MS, patience_ms=60_000)
    for _ in range(10):
        clock.now += 100
        gate.told(took_ms * 1000, {hop: took * 1000 for hop, took in timing_ms.items()})
    assert gate.places == MOST


@given(answers=st.integers(1, 10_000), queued_ms=st.integers(0, 10_000), worked_ms=st.integers(0, 10_000),
       before=st.integers(LEAST, MOST), span_ms=st.integers(200, 5_000), wanted=st.booleans())
def test_places_stay_within_their_bounds_and_short_queues_take_none_away(
        answers: int, queued_ms: int, worked_ms: int, before: int, span_ms: int, wanted: bool) -> None:
    window = Window(0, answers, answers * queued_ms * 1000, answers * worked_ms * 1000)
    found = places(window, span_ms * 1000, before, TARGET_MS * 1000, MOST, wanted=wanted)
    assert LEAST <= found <= MOST
    if queued_ms <= TARGET_MS:
        assert found >= before


def test_nothing_is_learned_from_nothing() -> None:
    assert places(Window(0), 200_000, 123, TARGET_MS * 1000, MOST, wanted=True) == 123
