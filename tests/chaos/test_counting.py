"""Processes die at random, or stand still and come back, under load: what was sent, what was counted, and what the
topic says are the same number.

WEIR_CHAOS_ROUNDS: how many kills; 20 is the long run.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout
from redis.asyncio import Redis

from shared.kafka.outbox import Outbox
from shared.names import headers as H
from shared.names import topics
from tests.e2e.test_policies import project_with
from tests.support.platform import Platform, eventually

ROUNDS = int(os.environ.get("WEIR_CHAOS_ROUNDS", "2"))
VICTIMS = ("analytics-0", "analytics-1", "policy-0", "executor-0", "valkey", "policy-1", "ingress-0")
# above any process id
NOBODY = 2**30
ALLOWANCE = "allowance: [{tasks: 1, at_limit: overage}, {tasks: 1000000000, by: operation}]\n"
# spent while processes die: some of the kills come before its end, some after it
CAP = 100 * ROUNDS
CAPPED = f"allowance: [{{tasks: {CAP}}}, {{tasks: 1000000000, by: operation}}]\n"
# the trigger and one step
COST = 2
BURST, PAUSE_S = 10, 0.05
CALLERS = 3
# longer than a session lasts: the partitions of a process that stands still move to the other one
STANDSTILL_S = 11.0


@dataclass
class Sent:
    """What the load generator knows. `records`: calls on the topic that the broker has acknowledged, by what they ask;
    `answers`: of calls over HTTP; `lost`: those whose connection broke."""

    records: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    over: bool = False


@dataclass(frozen=True)
class Load:
    """A project of its own, and who calls it."""

    platform: Platform
    project: str
    token: str
    digest: str
    sent: Sent
    capped: bool = False

    async def records(self, outbox: Outbox) -> None:
        """Calls on the internal topic: some are answered, some refused, one in ten means nothing."""
        number = 0
        while not self.sent.over:
            sending = []
            for _ in range(BURST):
                number += 1
                kind = ("ask", "refused", "ask", "ask", "nothing")[number % 5]
                sending.append((kind, outbox.send(topics.REQUESTS_INTERNAL, b"", [
                    (H.REQUEST_ID, str(uuid.uuid4()).encode()), (H.PROJECT, self.project.encode()),
                    (H.OPERATION, b"nothing" if kind == "nothing" else b"ask"),
                    (H.TOKEN_DIGEST, b"0" * 64 if kind == "refused" else self.digest.encode())])))
            for kind, sent in sending:
                await sent
                self.sent.records[kind] += 1
            await asyncio.sleep(PAUSE_S)

    async def call(self, http: ClientSession) -> int:
        """The status of a call over HTTP; 0 if its connection broke."""
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            async with http.get(f"{self.platform.ingress}/{self.project}/ask", headers=headers) as answer:
                await answer.read()
        except (ClientError, TimeoutError):
            self.sent.lost += 1
            return 0
        self.sent.answers[answer.status] += 1
        return answer.status

    async def calls(self) -> None:
        """One after the other."""
        async with ClientSession(timeout=ClientTimeout(total=20)) as http:
            while not self.sent.over:
                await self.call(http)
                await asyncio.sleep(PAUSE_S)

    def usage(self, by: str) -> dict[str, Any]:
        """What was counted."""
        found: dict[str, Any] = self.platform.admin("GET", f"/projects/{self.project}/usage?by={by}")
        return found

    def settled(self) -> bool:
        """Whether all calls on the topic are counted, and no more."""
        rows = {(row["source"], row["reason"]): row["requests"] for row in self.usage("source,reason")["rows"]}
        return sum(count for (source, _), count in rows.items() if source == "internal") == self.sent.records.total()

    def check(self) -> None:
        """The three numbers are one."""
        rows = {(row["source"], row["status"]): row for row in self.usage("source,status")["rows"]}
        internal = {status: row["requests"] for (source, status), row in rows.items() if source == "internal"}
        # what was asked beyond the end of an allowance is refused, not lost
        spent = internal.pop(429, 0) if self.capped else 0
        wanted = {200: self.sent.records["ask"] - spent, 401: self.sent.records["refused"],
                  404: self.sent.records["nothing"]}
        assert internal == {status: count for status, count in wanted.items() if count}
        assert all(row["tasks"] == COST * row["requests"] * (status == 200) for (_, status), row in rows.items()), rows
        edge = sum(row["requests"] for (source, status), row in rows.items() if (source, status) == ("edge", 200))
        assert self.sent.answers[200] <= edge <= self.sent.answers[200] + self.sent.lost + self.sent.answers[504]
        self.check_allowances()
        again = self.platform.admin("GET", f"/projects/{self.project}/usage/verify")
        assert again["difference"] == 0, again
        assert again["counted"]["requests"] == again["recounted"]["requests"] == sum(
            row["requests"] for row in rows.values())
        print(f"; sent {dict(self.sent.records)} on the topic, {dict(self.sent.answers)} over HTTP, {self.sent.lost} "
              f"lost; counted {internal}, {spent} beyond the allowance; recount differs by {again['difference']}; "
              f"{again['stream']}", end="")

    def allowances(self) -> list[dict[str, Any]]:
        """What is spent and left; the project's own amount first."""
        found: list[dict[str, Any]] = self.platform.admin("GET", f"/projects/{self.project}/allowance")
        return sorted(found, key=lambda row: row["operation"] is not None)

    def check_allowances(self) -> None:
        """What is spent of the project's amount, and of those of its operations, are the tasks that were counted."""
        tasks = {row["operation"]: row["tasks"] for row in self.usage("operation")["rows"] if row["tasks"]}
        rows = self.allowances()
        assert {row["operation"]: row["spent"] for row in rows} == {**tasks, None: sum(tasks.values())}


@asynccontextmanager
async def loading(platform: Platform, outbox: Outbox, name: str, allowance: str) -> AsyncIterator[Load]:
    """Load on a project of its own, until the end of the block."""
    await eventually(platform.is_green, within_s=60)
    platform.admin("POST", f"/projects/{name}/versions", {
        "files": project_with(name, "clients: [{name: c}]\n", allowance)})
    made = platform.admin("POST", f"/projects/{name}/clients/c/tokens", {})
    async with ClientSession() as http:
        await platform.configured(http)
    found = Load(platform, name, made["token"], made["internal_digest"], Sent(), capped=allowance == CAPPED)
    running = [asyncio.create_task(work) for work in (found.records(outbox), *(found.calls() for _ in range(CALLERS)))]
    yield found
    found.sent.over = True
    await asyncio.gather(*running)


@pytest.fixture
async def load(platform: Platform, outbox: Outbox, name: str) -> AsyncIterator[Load]:
    """Load on a project whose calls are all let through, from the start of the test on."""
    async with loading(platform, outbox, name, ALLOWANCE) as found:
        yield found


async def kill_at_random(platform: Platform) -> None:
    """So many processes as are wanted."""
    chance = random.Random(os.environ.get("WEIR_CHAOS_SEED", str(time.time_ns())))
    kills = 0
    while kills < ROUNDS:
        # analytics every other time: it is what counts
        victim = chance.choice(VICTIMS[:2] if kills % 2 == 0 else VICTIMS)
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        # one that is not up again yet cannot die
        with contextlib.suppress(ProcessLookupError, KeyError):
            os.kill(platform.processes()[victim].pid or NOBODY, signal.SIGKILL)
            kills += 1
            print(f"\n{kills}: {victim}", end="", flush=True)
    await asyncio.sleep(1)


async def end(load: Load) -> None:
    """No more calls; the three numbers, once all is counted."""
    load.sent.over = True
    await eventually(load.platform.is_green, within_s=60)
    await eventually(lambda: asyncio.to_thread(load.settled), within_s=60, every_s=0.5)
    await asyncio.to_thread(load.check)


async def test_sent_counted_and_recounted_are_the_same_after_kills_at_random(platform: Platform, load: Load) -> None:
    await kill_at_random(platform)
    await end(load)


async def test_allowance_that_is_spent_while_processes_die_is_right_to_the_task(
        platform: Platform, outbox: Outbox, name: str) -> None:
    async with loading(platform, outbox, name, CAPPED) as load:
        await kill_at_random(platform)
        await eventually(lambda: load.sent.answers[429], within_s=60)
    await end(load)
    row = (await asyncio.to_thread(load.allowances))[0]
    print(f"; {row['spent']} of {CAP} tasks spent", end="")
    assert (row["spent"] >= CAP, row["left"]) == (True, 0)
    async with ClientSession() as http:
        async def passes() -> bool:
            return await load.call(http) == 200
        assert {await load.call(http) for _ in range(20)} == {429}
        # room for one call more, and for no other: policy goes by the amount that was counted
        platform.admin("POST", f"/projects/{name}/allowance/raise", {
            "name": "project", "by": row["spent"] + COST - CAP})
        await eventually(passes)
        await eventually(lambda: load.allowances()[0]["left"] == 0)
        assert {await load.call(http) for _ in range(20)} == {429}
    assert load.allowances()[0]["spent"] == row["spent"] + COST


@pytest.mark.skipif(ROUNDS < 5, reason="the long run alone (WEIR_CHAOS_ROUNDS of 5 or more): a session has to end")
async def test_process_that_stood_still_while_its_partitions_moved_counts_nothing_twice(
        platform: Platform, load: Load) -> None:
    for victim in ("analytics-0", "analytics-1"):
        process = platform.processes()[victim]
        os.kill(process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(STANDSTILL_S)
        finally:
            # the supervisor may have ended it by now, which is as good
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
        await asyncio.sleep(3)
    load.sent.over = True
    await eventually(platform.is_green, within_s=60)
    await eventually(lambda: asyncio.to_thread(load.settled), within_s=60, every_s=0.5)
    await asyncio.to_thread(load.check)


@pytest.mark.skipif(ROUNDS < 5, reason="the long run alone (WEIR_CHAOS_ROUNDS of 5 or more): it counts all again")
async def test_store_that_forgot_all_counters_has_them_again_from_the_topic(platform: Platform, load: Load) -> None:
    await eventually(lambda: load.sent.records.total() > 200, within_s=60)
    async with Redis.from_url(platform.redis_url) as store:
        for pattern in ("weir:usage:*", "weir:producer:*", "weir:seen:*", "weir:allowance:*"):
            keys = [key async for key in store.scan_iter(pattern, count=1_000)]
            await store.delete(*keys, "weir:nothing")
    await eventually(lambda: load.sent.records.total() > 400, within_s=60)
    load.sent.over = True
    await eventually(platform.is_green, within_s=60)
    await eventually(lambda: asyncio.to_thread(load.settled), within_s=60, every_s=0.5)
    await asyncio.to_thread(load.check)
