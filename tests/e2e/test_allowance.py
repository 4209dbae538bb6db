"""Allowances on the running cluster: spent, stopped, raised, reset; how far traffic goes beyond the end of one."""

import asyncio
import json
import time
from typing import Any

from aiohttp import ClientSession

from shared.names import topics
from tests.e2e.test_policies import opened
from tests.support.platform import Platform, eventually
from tests.support.topics import records

# the trigger and the one step of the project under test
COST = 2
ACCESS = "clients: [{name: c}, {name: d}]\n"
Headers = dict[str, str]


async def ask(platform: Platform, http: ClientSession, name: str, headers: Headers) -> tuple[int, Headers, Any]:
    async with http.get(f"{platform.ingress}/{name}/ask", headers=headers) as answer:
        return answer.status, dict(answer.headers), await answer.json()


async def until(wanted: int, platform: Platform, http: ClientSession, name: str, headers: Headers) -> float:
    """Seconds until a call gets a status."""
    async def found() -> bool:
        return (await ask(platform, http, name, headers))[0] == wanted
    began = time.monotonic()
    await eventually(found, every_s=0.01)
    return time.monotonic() - began


async def spent(platform: Platform, name: str, tasks: int) -> dict[str, Any]:
    """The row of an amount, once so many tasks are counted."""
    rows: list[dict[str, Any]] = await eventually(lambda: [
        row for row in platform.admin("GET", f"/projects/{name}/allowance") if row["spent"] == tasks])
    return rows[0]


def change(platform: Platform, name: str, what: str, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = platform.admin("POST", f"/projects/{name}/allowance/{what}", body)
    return found


async def test_allowance_is_spent_stopped_raised_and_reset(platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, ACCESS, "allowance: {tasks: 12, zone: Europe/Berlin}\n")
    status, told, _ = await ask(platform, http, name, headers)
    assert (status, told["Allowance"].split(";t=")[0]) == (200, '"project";q=12;r=12')
    row = await spent(platform, name, COST)
    assert (row["left"], row["today"], row["at_limit"], row["allowance"]) == (10, COST, "stop", "project")
    # at two tasks in the first minutes of use, twelve are spent today or tomorrow
    assert row["spent_on"] is not None or row["spent_at"] is None
    for _ in range(5):
        assert (await ask(platform, http, name, headers))[0] == 200
    await spent(platform, name, 12)
    status, told, problem = await ask(platform, http, name, headers)
    assert (status, problem["code"], problem["allowance"]) == (429, "allowance-exhausted", "project")
    assert told["Allowance"].startswith('"project";q=12;r=0;t=')
    assert 0 < int(told["Retry-After"]) <= 31 * 86_400
    change(platform, name, "raise", by=4)
    assert await until(200, platform, http, name, headers) < 1
    await until(429, platform, http, name, headers)
    change(platform, name, "reset")
    assert await until(200, platform, http, name, headers) < 1
    [row] = change(platform, name, "raise", by=-15)
    assert (row["tasks"], row["at_limit"], row["client"]) == (1, "stop", None)
    await until(429, platform, http, name, headers)
    lines = [line for line in await records(platform, topics.AUDIT) if name.encode() in line]
    assert [any(what in line for line in lines) for what in (b"raise allowance by 4", b"reset allowance")] == [True] * 2


async def test_refused_call_costs_nothing(platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, ACCESS, "allowance: {tasks: 2}\n")
    assert (await ask(platform, http, name, headers))[0] == 200
    await spent(platform, name, COST)
    refused = [await ask(platform, http, name, headers) for _ in range(20)]
    refused += [await ask(platform, http, name, {"Authorization": "Bearer x"}) for _ in range(5)]
    assert {status for status, _, _ in refused} == {429, 401}

    def all_counted() -> bool:
        usage = platform.admin("GET", f"/projects/{name}/usage?by=status")["rows"]
        return {row["status"]: (row["requests"], row["tasks"]) for row in usage} == {
            200: (1, COST), 429: (20, 0), 401: (5, 0)}
    await eventually(all_counted)
    assert (await spent(platform, name, COST))["left"] == 0


async def test_each_client_has_its_own_and_signals_say_whose_is_spent(
        platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, ACCESS,
                           "allowance: {tasks: 5, by: client, tasks_of: {d: 100}, thresholds: [40, 100]}\n")
    token = platform.admin("POST", f"/projects/{name}/clients/d/tokens", {})["token"]
    await platform.configured(http)
    await ask(platform, http, name, headers)
    await spent(platform, name, COST)

    def signalled(threshold: int) -> bool:
        return any(one["kind"] == "allowance" and one["subject"] == "client/c" and one["evidence"]["client"] == "c"
                   and one["evidence"]["threshold"] == threshold
                   for one in platform.admin("GET", f"/projects/{name}/signals"))
    await eventually(lambda: signalled(40))
    await until(429, platform, http, name, headers)
    await eventually(lambda: signalled(100))
    status, told, _ = await ask(platform, http, name, {"Authorization": f"Bearer {token}"})
    assert (status, told["Allowance"].split(";t=")[0]) == (200, '"client";q=100;r=100')
    said = [record for record in await records(platform, topics.SIGNALS)
            if f"{name}/allowance/client/c".encode() in record]
    assert len(said) == 2, said
    # what the command line shows
    shown = json.loads(platform.weir("usage", "allowance", name, "--json").stdout)
    assert (shown[0]["client"], shown[0]["spent"] >= 6, shown[0]["left"]) == ("c", True, 0)
    assert "client" in platform.weir("allowance", "show", name).stdout
    explained = platform.weir("access", "explain", "--project", name, "--operation", "ask", "--client", "c").stdout
    assert "allowance client" in explained
    assert "=> 429 allowance-exhausted" in explained
    both = platform.weir("allowance", "raise", name, "5", "--operation", "ask", check=False)
    assert (both.returncode, "is not kept by operation" in both.stderr) == (1, True)
    raised = json.loads(platform.weir("allowance", "raise", name, "50", "--client", "c", "--json").stdout)
    # the last calls may be counted in between
    assert [(row["client"], row["tasks"], row["left"], row["spent"] >= shown[0]["spent"]) for row in raised] == [
        ("c", 55, 55 - raised[0]["spent"], True)]
    assert json.loads(platform.weir("allowance", "show", name, "--last", "--json").stdout)[0]["spent"] == 0


async def test_throttle_lets_a_few_calls_through_and_overage_is_told_of_each(
        platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, ACCESS, "allowance:\n"
                           "  - {name: billed, tasks: 2, at_limit: overage}\n"
                           "  - {name: slowed, tasks: 4, at_limit: throttle, rate: 3}\n")
    for tasks in (2, 4):
        assert (await ask(platform, http, name, headers))[0] == 200
        await spent(platform, name, tasks)
    found = [await ask(platform, http, name, headers) for _ in range(5)]
    assert [status for status, _, _ in found] == [200, 200, 200, 429, 429]
    assert found[0][1]["Allowance"].startswith('"billed";q=2;r=0;')
    assert found[3][2]["allowance"] == "slowed"
    # three calls a minute: the first one leaves the window a twentieth later at the latest
    assert int(found[3][1]["Retry-After"]) <= 63

    async def told() -> bool:
        events = [event for record in await records(platform, topics.USAGE) if name.encode() in record
                  for event in json.loads(record.split(b"\n")[1]) if event["project"] == name]
        return [event["observed"] for event in sorted(events, key=lambda event: event["time"])] == [
            [], *[["billed:overage"]] * 4, [], []]
    await eventually(told)


async def test_changed_amount_is_in_force_within_a_second(platform: Platform, http: ClientSession, name: str) -> None:
    headers = await opened(http, platform, name, ACCESS, "allowance: {tasks: 60, thresholds: []}\n")
    took: list[float] = []
    for _ in range(5):
        await until(429, platform, http, name, headers)
        # less than any of these is under way, and counted after the change
        for what, by, wanted in (("raise", 100_000, 200), ("raise", -100_000, 429), ("reset", None, 200)):
            change(platform, name, what, **({} if by is None else {"by": by}))
            took.append(await until(wanted, platform, http, name, headers))
    assert sorted(took)[-2] < 1, took


async def test_traffic_goes_on_for_less_than_a_second_beyond_the_end(
        platform: Platform, http: ClientSession, name: str) -> None:
    """The lag between a call that has run and policy that knows of it, in seconds of traffic."""
    rate, tasks = 40, 60
    headers = await opened(http, platform, name, ACCESS, f"allowance: {{tasks: {tasks}, thresholds: []}}\n")
    overshoots: list[float] = []
    for _ in range(4):
        statuses: list[int] = []

        async def one(after_s: float, statuses: list[int] = statuses) -> None:
            await asyncio.sleep(after_s)
            statuses.append((await ask(platform, http, name, headers))[0])
        await asyncio.gather(*(one(number / rate) for number in range(4 * rate)))
        admitted = statuses.count(200)
        assert admitted + statuses.count(429) == 4 * rate
        assert (await spent(platform, name, admitted * COST))["left"] == 0
        overshoots.append((admitted * COST - tasks) / (rate * COST))
        assert overshoots[-1] >= 0
        if overshoots[-1] < 1:
            break
        # somebody else's work may have delayed ours
        change(platform, name, "reset")
        await until(200, platform, http, name, headers)
        change(platform, name, "reset")
    print(f"overshoot in seconds of traffic at {rate} calls/s: {', '.join(f'{one:.2f}' for one in overshoots)}")
    assert min(overshoots) < 1, overshoots
