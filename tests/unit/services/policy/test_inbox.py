"""The door of policy: however many calls a poll has, the store is asked once; a missing key set is fetched first."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest

from services.policy import inbox
from services.policy.claims import Claims
from services.policy.counters import Counters
from services.policy.hearing import Hearing
from services.policy.inbox import Bench
from services.policy.parts import PolicyParts
from services.policy.settings import PolicySettings
from services.policy.traces import PolicyTraces
from shared.contracts.kept_answer import KeptAnswer
from shared.decision.amounts import Amounts, Ask
from shared.decision.book import PolicyBook
from shared.decision.case import Case
from shared.decision.decide import Decision
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.record import Record
from shared.names import topics
from shared.names.reasons import Reason
from shared.runtime.key_sets import KeySets
from shared.runtime.tasks import Tasks
from shared.settings.redis import RedisSettings
from shared.store.connection import Argument
from shared.store.redis import Store, StoreUnavailable
from shared.telemetry.metrics import Metrics
from shared.telemetry.sampling import Sampler
from shared.telemetry.tracing import Tracing
from tests.support.callers import ISSUER, OTHER, SCHEME, URL, known
from tests.support.calls import NOW, book, case
from tests.support.fakes import FakeOutbox, FakeRecord, StoppedClock

LIMITS = [{"name": "fair", "action": "accept", "limits": [{"limit": 5, "per": "minute"}]}]


def numbered(number: int) -> str:
    """A request id."""
    return str(UUID(int=number))


class Counting(Store):
    """Keeps the amounts, frees every key, and remembers its round trips; they go on when `going` is set.

    `away`: it does nothing. `late`: it does what it is asked, and nobody hears of it.
    """

    def __init__(self) -> None:
        super().__init__(RedisSettings())
        self.trips: list[str] = []
        self.amounts = Amounts()
        self.going, self.away, self.late = asyncio.Event(), False, False
        self.going.set()

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        self.trips.append(script)
        await self.going.wait()
        if self.away:
            raise StoreUnavailable(script)
        if script == "claim":
            return [None] * (len(arguments) // 3)
        asks = msgspec.json.decode(cast(bytes, arguments[0]), type=list[Ask])
        outcomes = self.amounts.spend(asks, NOW * 1000)
        if self.late:
            raise StoreUnavailable(script)
        return msgspec.json.encode([0, outcomes])


class Ends:
    """Stands for the rulings, and for the intake."""

    def __init__(self) -> None:
        self.reasons: dict[str, Reason] = {}
        self.done: list[Record] = []
        self.more = asyncio.Event()

    def close(self, hearing: Hearing, ruling: Decision | KeptAnswer) -> list[asyncio.Future[None]]:
        assert isinstance(ruling, Decision)
        assert hearing.request_id not in self.reasons
        self.reasons[hearing.request_id] = ruling.reason
        return []

    def finish_after(self, records: Iterable[Record], _effects: Iterable[asyncio.Future[None]]) -> None:
        self.done += records
        self.more.set()


class Issuing(KeySets):
    """Fetches from nowhere, once `going` is set, and counts."""

    def __init__(self, *rest: Any) -> None:
        super().__init__(*rest)
        self.fetched, self.asked, self.going = 0, asyncio.Event(), asyncio.Event()
        self.going.set()

    async def _fetch(self, url: str) -> Any:
        self.fetched += 1
        self.asked.set()
        await asyncio.sleep(0)
        await self.going.wait()
        return ISSUER.published


class Door:
    """A bench with all that it needs and nothing that it does not."""

    def __init__(self, known_: PolicyBook, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.ends, self.letters = Counting(), Ends(), FakeOutbox()
        clock, metrics, tasks = StoppedClock(NOW), Metrics(muted=True), Tasks()
        self.clock, self.key_sets = clock, Issuing(known_.vault, clock, tasks)
        monkeypatch.setattr(inbox, "Rulings", lambda _parts: self.ends)
        self._bench = Bench(cast(PolicyParts, SimpleNamespace(
            settings=PolicySettings(), clock=clock, book=known_, tasks=tasks, key_sets=self.key_sets,
            traces=PolicyTraces(Tracing("policy", "i"), Sampler(clock, ratio=0, max_per_s=0), clock, 1_000),
            intake=self.ends, dead_letters=DeadLetters(cast(Any, self.letters), metrics, clock, "policy"),
            claims=Claims(self.store, tasks),
            counters=Counters(self.store, clock, metrics, tasks, instances=1, rest_ms=1_000))))
        self._number = 0

    def poll(self, count: int, **call: Any) -> None:
        """So many calls arrive at once; a `key` is each one's own."""
        records: list[Record] = []
        for _ in range(count):
            self._number += 1
            own = {**call, **({"key": f"{call['key']}{self._number}"} if "key" in call else {})}
            request = case(book([]), request_id=numbered(self._number), **own).request
            records.append(FakeRecord(topic=topics.REQUESTS_EDGE, timestamp=NOW, value=request.body,
                                      offset=self._number, headers=list(request.to_headers())))
        self._bench.handle(records)

    async def counted(self) -> Counter[Reason]:
        """How all calls have ended; each has, and its record is finished."""
        async with asyncio.timeout(5):
            while len(self.ends.done) < self._number:
                self.ends.more.clear()
                await self.ends.more.wait()
        assert len({record.offset for record in self.ends.done}) == self._number
        return Counter(self.ends.reasons.values())


async def test_store_is_asked_once_for_all_calls_of_a_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(book(LIMITS), monkeypatch)
    door.poll(500)
    assert await door.counted() == {Reason.OK: 5, Reason.RATE_LIMITED: 495}
    assert door.store.trips == ["limits"]


async def test_idempotency_keys_cost_one_more_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(book(LIMITS), monkeypatch)
    door.poll(100, key="k", operation="make-thing")
    assert await door.counted() == {Reason.OK: 5, Reason.RATE_LIMITED: 95}
    assert door.store.trips == ["claim", "limits"]


async def test_key_is_claimed_where_no_limit_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(book([]), monkeypatch)
    door.poll(3, key="k")
    assert (await door.counted(), door.store.trips) == ({Reason.OK: 3}, ["claim"])


async def test_key_is_claimed_beside_calls_that_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(book(LIMITS), monkeypatch)
    door.store.going.clear()
    for key in ({}, {}, {"key": "k"}, {}):
        door.poll(1, **key)
        await asyncio.sleep(0)
    door.store.going.set()
    assert await door.counted() == {Reason.OK: 4}
    assert door.store.trips == ["limits", "claim", "limits"]


async def test_store_is_not_asked_where_no_limit_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(book([]), monkeypatch)
    door.poll(100)
    assert (door.store.trips, await door.counted()) == ([], {Reason.OK: 100})


async def test_polls_that_come_while_the_store_works_are_asked_about_together(
        monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(book(LIMITS), monkeypatch)
    door.store.going.clear()
    for _ in range(4):
        door.poll(10)
        await asyncio.sleep(0)
    door.store.going.set()
    assert await door.counted() == {Reason.OK: 5, Reason.RATE_LIMITED: 35}
    assert door.store.trips == ["limits", "limits"]


async def test_store_that_fails_is_asked_again_only_after_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(book(LIMITS), monkeypatch)
    door.store.away = True
    for _ in range(3):
        door.poll(2)
        await door.counted()
    assert door.store.trips == ["limits"]
    door.clock.now += 1_000
    # how long the store has had its rest is no question of what the clock says
    door.clock.set_ms = -3_600_000
    door.poll(4)
    assert await door.counted() == {Reason.OK: 5, Reason.RATE_LIMITED: 5}
    assert door.store.trips == ["limits", "limits"]


async def hanging(monkeypatch: pytest.MonkeyPatch) -> Door:
    """A door whose store has failed, after one call, and does not answer any more."""
    door = Door(book(LIMITS), monkeypatch)
    door.store.away = True
    door.poll(1)
    await door.counted()
    door.store.going.clear()
    return door


async def test_calls_without_a_key_do_not_wait_for_a_store_that_hangs_beside_those_that_have_one(
        monkeypatch: pytest.MonkeyPatch) -> None:
    door = await hanging(monkeypatch)
    door.poll(1, key="k", operation="make-thing")
    for _ in range(2):
        door.poll(3)
        await asyncio.sleep(0.01)
    assert (len(door.ends.done), door.store.trips) == (7, ["limits", "claim"])
    door.store.going.set()
    assert await door.counted() == {Reason.OK: 5, Reason.RATE_LIMITED: 2, Reason.UNAVAILABLE: 1}


async def test_one_poll_asks_a_store_that_has_failed_anew_and_no_other_waits_for_it(
        monkeypatch: pytest.MonkeyPatch) -> None:
    door = await hanging(monkeypatch)
    door.clock.now += 1_000
    for _ in range(3):
        door.poll(2)
        await asyncio.sleep(0.01)
    assert (len(door.ends.done), door.store.trips) == (5, ["limits", "limits"])
    door.store.away = False
    door.store.going.set()
    assert await door.counted() == {Reason.OK: 7}, "five by itself, and two of which the store knows"
    door.poll(4)
    assert await door.counted() == {Reason.OK: 10, Reason.RATE_LIMITED: 1}
    assert door.store.trips == ["limits"] * 3


async def test_keys_that_are_missing_are_fetched_once_and_the_calls_wait_for_them(
        monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(known({"jwt": [SCHEME]}, key_sets={}), monkeypatch)
    door.poll(50, token=None, sealed={"jwt": ISSUER.token(NOW)})
    assert (await door.counted(), door.key_sets.fetched) == ({Reason.OK: 50}, 1)


async def test_token_with_a_new_key_waits_for_it_and_is_not_called_wrong_where_too_many_do(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "_MOST_EXPECTING", 5)
    door = Door(known({"jwt": [SCHEME]}, key_sets={URL: OTHER.key_set}), monkeypatch)
    door.key_sets.going.clear()
    call: dict[str, Any] = {"token": None, "sealed": {"jwt": ISSUER.token(NOW)}}
    door.poll(2, **call)
    async with asyncio.timeout(2):
        await door.key_sets.asked.wait()
    door.poll(4, **call)
    door.key_sets.going.set()
    assert (await door.counted(), door.key_sets.fetched) == ({Reason.OK: 5, Reason.UNAVAILABLE: 1}, 1)
    door.poll(1, token=None, sealed={"jwt": OTHER.token(NOW, iss=ISSUER.name)})
    assert (await door.counted())[Reason.CREDENTIALS_INVALID] == 1
    assert door._bench._expecting == 0, "whoever comes next may wait again"


async def test_call_that_cannot_be_decided_is_dead_and_its_neighbours_are_not(
        monkeypatch: pytest.MonkeyPatch) -> None:
    door, decide = Door(book(LIMITS), monkeypatch), inbox.look

    def look(asked: Case) -> Decision | None:
        if asked.request.request_id == numbered(2):
            raise RuntimeError("no way")
        return decide(asked)
    monkeypatch.setattr(inbox, "look", look)
    door.poll(4)
    assert await door.counted() == {Reason.OK: 3}
    assert [sent.topic for sent in door.letters.sent] == [topics.DEAD_LETTERS]
