"""The way from "p99 is up" to the guilty hop: an outside system is made slow, and the commands name it."""

import asyncio
import json
from typing import Any

from aiohttp import ClientSession

from tests.support.platform import PROJECT, Platform, eventually

CALLS = 6


async def test_commands_lead_from_a_slow_operation_to_the_step_that_is_to_blame(
        platform: Platform, http: ClientSession) -> None:
    headers = {"Authorization": f"Bearer {platform.demo_token}"}

    mine: set[str] = set()

    async def call(path: str) -> int:
        async with http.get(f"{platform.ingress}/{PROJECT}{path}", headers=headers) as answer:
            if answer.status == 504:
                mine.add(answer.headers["X-Request-Id"])
            return answer.status

    async def weir(*arguments: str) -> Any:
        return json.loads((await asyncio.to_thread(platform.weir, *arguments, "--json")).stdout)
    # 1: everything is there
    for row in await weir("status"):
        assert row["state"] == "ready"
    assert {row["version"] for row in await weir("status") if row.get("version")} == {"0.1.0"}
    # 2: the hop and the operation, while it happens
    looking = asyncio.ensure_future(weir("top", "--times", "1", "--every", "4s"))
    while not looking.done():
        statuses = await asyncio.gather(*(call("/reports/yearly") for _ in range(CALLS)), call("/employees/e-100"))
        assert statuses == [*[504] * CALLS, 200]
    seen = await looking
    operation = next(row for row in seen["operations"] if row["operation"] == "yearly-report")
    assert operation["5xx_per_s"] > 0
    assert operation["p99_ms"] > 900
    executor = next(row for row in seen["hops"] if row["hop"] == "executor")
    assert executor["work_p99_ms"] > 900
    # 3: the requests
    rows: list[Any] = []

    async def listed() -> bool:
        found = await weir("traces", "--slow", "--project", PROJECT, "--operation", "yearly-report",
                           "--longer", "900ms", "--since", "10m")
        # others have called the same operation
        rows[:] = [row for row in found if row["request_id"] in mine]
        return len(rows) >= CALLS
    await eventually(listed)
    assert {(row["status"], row["reason"], row["client"]) for row in rows} == {(504, "timeout", "intranet")}
    errors = await weir("traces", "--errors", "--client", "intranet", "--operation", "yearly-report", "--status", "5xx",
                        "--since", "10m", "--limit", "1000")
    assert {row["request_id"] for row in rows} <= {row["request_id"] for row in errors}
    assert await weir("traces", "--client", "nobody", "--since", "10m") == []
    # 4: what they waited for
    longest: list[str] = []

    async def is_told() -> bool:
        shown = (await asyncio.to_thread(platform.weir, "trace", rows[0]["request_id"])).stdout
        longest[:] = shown.partition("critical path: ")[2].splitlines()[1].split()
        # each hop sends its spans by itself, the edge's may come first; a sampled call has one of the outside call
        return longest[-1] == "(weir-executor)" and (longest[-3:-1] == ["step", "report"] or longest[-2] == "GET")
    await eventually(is_told)
    assert int(longest[0]) > 80
