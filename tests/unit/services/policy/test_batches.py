"""Polls of random requests, some of them broken: what is decided together is what would be decided one by one, whatever
stands beside it, and wherever the store fails."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

import orjson
import pytest

from shared.contracts.kept_answer import KeptAnswer
from shared.contracts.reply_address import ReplyAddress
from shared.contracts.request import HttpFacts, RequestRecord
from shared.decision.book import PolicyBook
from shared.decision.vault import Vault
from shared.kafka.batches import Instead
from shared.names import headers as H
from shared.names import topics
from shared.project.access.budgets import Kind
from shared.store.connection import Argument
from shared.store.redis import StoreUnavailable
from tests.support.callers import AUTHENTICATION, SECRET, S
from tests.support.calls import DIGEST, NOW, SEAL, book
from tests.support.fakes import FakeRecord, Headers, Sent
from tests.support.issuer import signed
from tests.unit.services.policy.test_rulings import Court, Holding, Prompt

Chance = random.Random
T = TypeVar("T")
MANY, SEEDS, LARGEST = 40, range(12), 50_000
OPERATIONS = [
    {"name": "get", "method": "GET", "path": "/things/{id}", "workflow": "w",
     "input": {"query": {"properties": {"n": {"type": "integer"}}}}},
    {"name": "make", "method": "POST", "path": "/things", "workflow": "w",
     "input": {"body": {"type": "object", "required": ["a"]}}},
    {"name": "keyed", "method": "POST", "path": "/keyed", "workflow": "w", "idempotency": {"required": True}},
    {"name": "open", "method": "GET", "path": "/open", "workflow": "w", "public": True},
    {"name": "later", "method": "POST", "path": "/later", "workflow": "w", "mode": "validate"}]
LIMITS: list[dict[str, Any]] = [
    {"limit": 7, "per": "second"}, {"limit": 5, "per": "hour", "by": ["client", "header:x-key"]},
    {"limit": 9, "per": "month", "calendar": "Europe/Berlin", "by": "ip"}, {"concurrent": 4, "by": "project"},
    {"concurrent": 2, "by": "header:x-key"}, {"limit": 60, "per": "minute", "burst": 6, "by": "operation"},
    {"limit": 5, "per": "second", "smooth": True, "by": "ip"}, {"limit": 40, "per": "day", "cost": "body.n"}]
REJECTS: list[dict[str, Any]] = [
    {"header": {"name": "x-key", "is": "2"}}, {"body": {"at": "/n", ">": 5}}, {"role": {"is_not": "reader"}},
    {"when": "body.n > 3"}]
BODIES = (b"", b"{}", b'{"a": 1}', b'{"a": 1, "n": 7}', b'{"n": 2}', b"[1]", b"{", b"\xff", b"x" * LARGEST)
GARBAGE = (b"", b"\xff", b"-1", b"9" * 30, b"null", b"[" * 2_000, b'{"a": "\\ud800"}', b'{"id": [null, 1e400]}')
NAMES = sorted(value for name, value in vars(H).items() if name.isupper() and isinstance(value, str))


class Call(NamedTuple):
    """`asks`: whether it may ask the store for more than limits."""

    record: FakeRecord
    asks: bool = False


def owner(chance: Chance) -> PolicyBook:
    """A project with some policies."""
    limits = [{**one, "name": f"l{number}", "mode": chance.choice(["enforce", "enforce", "observe"])}
              for number, one in enumerate(chance.sample(LIMITS, 4))]
    policies = [{"name": "fair", "action": "accept", "limits": limits[:2]},
                {"name": "some", "action": "accept", "operations": ["get", "later"], "limits": limits[2:]},
                {"name": "no", "action": "reject", "rules": [chance.choice(REJECTS)], "status": 451}]
    return book(policies, Vault(seal=SEAL, secrets={"TILL": SECRET}), operations=OPERATIONS,
                authentication=AUTHENTICATION, allowance=[{"tasks": chance.choice([1, 100]), "by": ["client"]}])


def call(chance: Chance, number: int) -> Call:
    """A request over the edge."""
    request_id, body = str(UUID(int=number + 1)), chance.choice(BODIES)
    message = chance.choice([None, None, None, "m1", "m2"])
    headers, sealed = {"x-key": chance.choice("123")}, None
    if message is not None:
        headers |= {"webhook-id": message, "webhook-timestamp": str(S)}
        sealed = SEAL.close({"signature": signed(SECRET, message, S, body)}, request_id)
    request = RequestRecord(
        project="p", operation=chance.choice([*(str(one["name"]) for one in OPERATIONS), "weir-execution", "none"]),
        params={"id": chance.choice(["7", request_id])}, request_id=request_id, sealed=sealed,
        token_digest=None if message else chance.choice([DIGEST, DIGEST, DIGEST, None, "else"]),
        http=HttpFacts(method="GET", path="/", client_ip=chance.choice(["10.0.0.1", "::1"]), headers=headers,
                       query=chance.choice([{}, {"n": ["1"]}, {"n": ["x"]}])),
        deadline_ms=chance.choice([None, NOW, NOW + 5_000]), content_type=chance.choice(["application/json", None]),
        idempotency_key=chance.choice([None, None, "k1", "k2", f"own{number}", "\n"]),
        prefer=chance.choice([None, None, "respond-async", "wait=1"]))
    to = ReplyAddress(correlation_id=request_id.encode(), topic=topics.REPLIES, partition=0)
    asks = (message or request.idempotency_key or request.prefer == "respond-async"
            or request.operation in ("later", "weir-execution"))
    spelled = request.enclosed(to) if chance.random() < 0.7 else request.addressed(to)
    return Call(FakeRecord(topics.REQUESTS_EDGE, offset=number, timestamp=NOW, value=body, headers=[*spelled]),
                bool(asks))


def broken(chance: Chance, whole: FakeRecord) -> FakeRecord:
    """The record with something wrong in it, perhaps."""
    headers = [*whole.headers]
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(headers))
        name, value = headers[at][0], bytearray(headers[at][1] or b"x")
        value[chance.randrange(len(value))] = chance.randrange(256)
        headers[at:at + 1] = chance.choice([
            [(name, None)], [(name, bytes(value))], [(name, bytes(value[:len(value) // 2]))],
            [headers[at], (chance.choice(NAMES), chance.choice(GARBAGE))], [(name, chance.choice(GARBAGE))]])
    return FakeRecord(whole.topic, offset=whole.offset, timestamp=chance.choice([-1, NOW, 2**62]),
                      value=chance.choice([whole.value, None, b"[" * 3_000]), headers=headers)


class Died(BaseException):
    """The process is gone."""


class Dying(Prompt):
    """What it is given after so many records is lost with the process."""

    def __init__(self, lasts: int) -> None:
        super().__init__(LARGEST)
        self._lasts = lasts

    def send(self, topic: str, value: bytes | None, headers: Headers, *, key: bytes | None = None,
             partition: int | None = None, instead: Instead | None = None) -> asyncio.Future[None]:
        if len(self.sent) >= self._lasts:
            raise Died
        return super().send(topic, value, headers, key=key, partition=partition, instead=instead)


class Later(Holding):
    """What is given back or kept counts when all is over, as for calls that come at the same time.

    Trip `fails_at`, and with `for_good` each after it, is not answered; `heard`: it has its effect for all that.
    """

    def __init__(self) -> None:
        super().__init__()
        self._put_off: list[Callable[[], Awaitable[Any]]] = []
        self.asked, self.fails_at, self.for_good, self.heard = 0, -1, False, False

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        does = super().run
        return await self._trip(lambda: does(script, keys, arguments), put_off=script == "give_back")

    async def many(self, commands: Sequence[Sequence[Argument]], *, atomic: bool = False) -> list[Any]:
        does = super().command

        async def all_of_them() -> list[Any]:
            return [await does(*parts) for parts in commands]
        return await self._trip(all_of_them, put_off=True) or [] if commands else []

    async def command(self, *parts: Argument) -> Any:
        does = super().command
        return await self._trip(lambda: does(*parts), put_off=parts[0] == "SET")

    async def over(self) -> None:
        """All calls have ended."""
        for does in self._put_off:
            await does()

    async def _trip(self, does: Callable[[], Awaitable[T]], *, put_off: bool) -> T | None:
        at, self.asked = self.asked, self.asked + 1
        fails = at == self.fails_at or (self.for_good and at > self.fails_at >= 0)
        found = None
        if put_off and not (fails and not self.heard):
            self._put_off.append(does)
        elif not fails or self.heard:
            found = await does()
        if fails:
            raise StoreUnavailable("as the test says")
        return found

    def spent(self) -> dict[str, Any]:
        """What stands in the store, but for times at which amounts are forgotten."""
        amounts = {key: (one.used, one.full_at_us, {**one.parts}, {**one.holders})
                   for key, one in self.amounts._amounts.items()}
        # the rest of a claim is drawn anew
        kept = {key: value.partition(b"\n")[0] if KeptAnswer.from_bytes(value).is_running else value
                for key, value in cast(dict[str, bytes], self.kept).items()}
        return {"kept": kept, "amounts": {key: one for key, one in amounts.items() if any(one)}}

    def places(self) -> dict[str, Any]:
        """Who holds what."""
        return {key: one.holders for key, one in self.amounts._amounts.items()
                if f":{Kind.CONCURRENT}-now:" in key and one.holders}


def facts(sent: Sent) -> tuple[Any, ...]:
    """A record that has gone out, but for how long it took and for what is drawn anew."""
    headers = dict(sent.headers)
    headers.pop(H.TIMING, None)
    headers.pop(H.TRACEPARENT, None)
    if H.EXECUTION in headers:
        said = orjson.loads(headers[H.EXECUTION])
        headers[H.EXECUTION] = orjson.dumps({**said, "timing": None, "traceparent": None})
    return sent.topic, tuple(sorted(headers.items())), sent.value


def counted(court: Court) -> list[dict[str, Any]]:
    """The usage events."""
    return [{**event, "timing": None, "trace_id": None} for sent in court.outbox.sent if sent.topic == topics.USAGE
            for event in orjson.loads(sent.value or b"[]")]


async def heard(here: PolicyBook, polls: Sequence[Sequence[FakeRecord]]) -> Court:
    """What becomes of some polls; whatever they hold, nothing fails, and each record ends exactly once."""
    store = Later()
    court = Court(here, store, Prompt(LARGEST))
    for poll in polls:
        await court.take(*poll)
    await store.over()
    court.usage.flush()
    ends_once(court, [record for poll in polls for record in poll])
    return court


def ends_once(court: Court, records: Sequence[FakeRecord]) -> None:
    assert not court.tasks.failed.done(), court.tasks.failed.result()
    ended = [str(event["origin"]) for event in counted(court)]
    ended += [str(execution.origin) for execution in court.executions()]
    ended += [f"{topics.REQUESTS_EDGE}/0/{headers[H.DEAD_OFFSET].decode()}" for headers in dead(court)]
    assert sorted(ended) == sorted(f"{topics.REQUESTS_EDGE}/0/{record.offset}" for record in records)


def dead(court: Court) -> list[dict[str, bytes]]:
    return [dict(sent.headers) for sent in court.outbox.sent if sent.topic == topics.DEAD_LETTERS]


def statuses(court: Court) -> list[int]:
    """What each call is told, by its number; 0 where it goes on."""
    found = {reply.request_id: reply.status for reply in court.replies()}
    return [found.get(str(UUID(int=number + 1)), 0) for number in range(MANY)]


def outcome(court: Court) -> tuple[Counter[Any], list[dict[str, Any]], dict[str, Any]]:
    """All that anybody could see."""
    sent = Counter(facts(sent) for sent in court.outbox.sent if sent.topic not in (topics.USAGE, topics.DEAD_LETTERS))
    return sent, sorted(counted(court), key=lambda event: str(event["origin"])), cast(Later, court.store).spent()


@pytest.mark.parametrize("seed", SEEDS)
async def test_requests_of_a_poll_are_decided_as_one_by_one_and_as_without_those_that_are_dead(seed: int) -> None:
    chance = Chance(seed)
    here, records = owner(chance), [call(chance, number).record for number in range(MANY)]
    records = [broken(chance, record) if chance.random() < 0.2 else record for record in records]
    together = await heard(here, [records])
    alone = await heard(here, [[record] for record in records])
    assert outcome(together) == outcome(alone)
    gone = {int(headers[H.DEAD_OFFSET]) for headers in dead(together)}
    assert gone, "some have to be dead"
    assert len(gone) < MANY / 3
    others = await heard(here, [[record for record in records if record.offset not in gone]])
    assert outcome(together) == outcome(others)


@pytest.mark.parametrize("heard_of", [True, False], ids=["late", "away"])
@pytest.mark.parametrize("for_good", [True, False], ids=["for good", "once"])
@pytest.mark.parametrize("seed", SEEDS[:6])
async def test_store_that_fails_anywhere_refuses_only_who_needs_it_and_keeps_no_place(
        seed: int, for_good: bool, heard_of: bool) -> None:
    chance = Chance(seed)
    here, calls = owner(chance), [call(chance, number) for number in range(MANY)]
    records = [one.record for one in calls]
    usual = await heard(here, [records])
    told = statuses(usual)
    for at in range(cast(Later, usual.store).asked):
        store = Later()
        store.fails_at, store.for_good, store.heard = at, for_good, heard_of
        court = Court(here, store, Prompt(LARGEST))
        await court.take(*records)
        await store.over()
        court.usage.flush()
        ends_once(court, records)
        for number, (status, one) in enumerate(zip(statuses(court), calls, strict=True)):
            # one that is not let in leaves more for others, and an instance that is alone knows nothing of them
            limited = told[number] != status and (status == 429 or told[number] == 429)
            assert status == told[number] or limited or (status == 503 and one.asks), (at, number)
        for execution in court.executions():
            for key in execution.holds:
                store.amounts.release(execution.request_id, [key])
        if heard_of:
            assert store.places() == {}, at


@pytest.mark.parametrize("seed", SEEDS[:4])
async def test_poll_that_comes_again_after_a_crash_lets_in_no_more_and_runs_no_key_and_no_message_twice(
        seed: int) -> None:
    chance = Chance(seed)
    fair = {"name": "fair", "action": "accept", "limits": [
        {"limit": 6, "per": "hour", "by": "project"}, {"name": "at-once", "concurrent": 5, "by": "project"}]}
    here = book([fair], Vault(seal=SEAL, secrets={"TILL": SECRET}), operations=OPERATIONS,
                authentication=AUTHENTICATION)
    records = [call(chance, number).record for number in range(MANY)]
    for lasts in range(MANY):
        store, outbox = Later(), Dying(lasts)
        before = Court(here, store, outbox)
        with suppress(Died):
            await before.take(*records)
        await store.over()
        after = Court(here, store, Prompt(LARGEST))
        await after.take(*records)
        ran = {one.request_id: one for court in (before, after) for one in court.executions()}
        # less after a crash: what the store has charged it charges again
        assert len(ran) <= 5
        assert ran or lasts
        for what in ("idempotency_key", "once"):
            named = [(one.operation, one.client, getattr(one, what)) for one in ran.values() if getattr(one, what)]
            assert len(named) == len(set(named)), (lasts, what)
