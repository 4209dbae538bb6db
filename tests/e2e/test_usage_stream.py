"""The stream of usage events as others take it: on the terminal, as a webhook's batches, as files."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.sinks.webhook import keys_of
from shared.contracts.webhook import signed
from shared.kafka.outbox import Outbox
from tests.e2e.test_usage import Producer, calls
from tests.support.platform import ROOT, Platform, eventually

SECRET = f"whsec_{base64.b64encode(b's' * 32).decode()}"
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def producer(outbox: Outbox, name: str) -> Producer:
    """A producer of its own for each test."""
    return Producer(outbox, f"producer-{name}")


@pytest.fixture
def sink(platform: Platform, name: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a sink by command; whatever still runs is killed in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **env: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "services.console.cli.main", "sink", *arguments, "--name", name]
        with (tmp_path / "sink.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env={
                **os.environ, **platform.env, "WEIR_SINK_SECRET": SECRET, "WEIR_SINK_MAX_PAUSE_S": "0.3",
                "WEIR_INSTANCE": f"sink-{name}", **env})
        started.append(process)
        return process
    yield start
    for process in started:
        process.kill()
        process.wait()


class Receiver:
    """A webhook that verifies what it gets, and may refuse it."""

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.answers: list[int] = []
        self.bad: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        """Take a batch."""
        body = await request.read()
        told, time_s = request.headers["webhook-id"], int(request.headers["webhook-timestamp"])
        self.ids[told] += 1
        if signed(keys_of(SECRET), told, time_s, body)["webhook-signature"] != request.headers["webhook-signature"]:
            self.bad.append("signature")
        if request.headers["Content-Type"] != "application/cloudevents-batch+json":
            self.bad.append("media")
        status = self.answers.pop(0) if self.answers else 204
        if status == 204:
            for one in json.loads(body):
                self.got[one["id"]] += one["specversion"] == "1.0"
        return web.Response(status=status)


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    """A receiver and its address."""
    found = Receiver()
    application = web.Application()
    application.router.add_post("/hook", found.handle)
    async with TestServer(application) as server:
        yield found, str(server.make_url("/hook"))


async def test_tail_shows_the_events_that_fit(platform: Platform, name: str, producer: Producer) -> None:
    await producer.send([*calls(name, 3, client="till"), *calls(name, 2, 3, status=503)])
    def tail(*more: str) -> list[str]:
        return platform.weir("tail", "--since", "5m", "--no-follow", "--where", f"project={name}",
                             *more).stdout.splitlines()
    lines = await asyncio.to_thread(tail)
    assert len(lines) == 5
    assert f"200 ok {name}/o client=till edge tasks=1" in lines[0]
    found = [json.loads(line) for line in await asyncio.to_thread(tail, "--json", "--where", "status=5xx")]
    assert [one["id"] for one in found] == ["3", "4"]
    assert await asyncio.to_thread(tail, "--kind", "delivery") == []
    assert len(await asyncio.to_thread(tail, "--count", "2")) == 2


async def test_webhook_gets_every_event_signed_though_it_refuses_and_the_sink_dies(
        platform: Platform, name: str, producer: Producer, sink: Start, receiver: tuple[Receiver, str]) -> None:
    hook, url = receiver
    hook.answers = [500, 429, 301]
    first = sink("webhook", url, "--where", f"project={name}", WEIR_SINK_BATCH_EVENTS="7")
    for start in range(0, 40, 10):
        await producer.send(calls(name, 10, start))
    await eventually(lambda: len(hook.got) >= 10, within_s=30)
    assert hook.ids.most_common(1)[0][1] >= 4, "the same message again until it is taken"
    first.send_signal(signal.SIGKILL)
    first.wait()
    for start in range(40, 80, 10):
        await producer.send(calls(name, 10, start))
    second = sink("webhook", url, "--where", f"project={name}")
    await eventually(lambda: len(hook.got) == 80, within_s=30)
    assert set(hook.got) == {str(number) for number in range(80)}
    assert not hook.bad
    seen = hook.got.total()
    second.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(second.wait, 20) == 0
    third = sink("webhook", url, "--where", f"project={name}")
    await producer.send(calls(name, 1, 80))
    await eventually(lambda: hook.got["80"], within_s=30)
    assert hook.got.total() == seen + 1, "what was taken does not come again after an orderly stop"
    hook.answers = [410]
    await producer.send(calls(name, 1, 81))
    assert await asyncio.to_thread(third.wait, 20) == 1
    assert hook.got["81"] == 0


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*.parquet")):
        found.extend(pq.ParquetFile(path).read().to_pylist())
    return found


async def test_parquet_files_hold_each_event_once_though_the_sink_is_killed(
        platform: Platform, name: str, producer: Producer, sink: Start, tmp_path: Path) -> None:
    folder, sent = tmp_path / "lake", 0
    for _ in range(4):
        running = sink("parquet", str(folder), "--where", f"project={name}", WEIR_SINK_FILE_S="0.2")
        before = len(rows(folder))
        for _ in range(5):
            await producer.send(calls(name, 20, sent))
            sent += 20
            await asyncio.sleep(0.1)
        await eventually(lambda before=before: len(rows(folder)) > before, within_s=30)
        running.send_signal(signal.SIGKILL)
        running.wait()
    last = sink("parquet", str(folder), "--where", f"project={name}", WEIR_SINK_FILE_S="0.2")
    await producer.send(calls(name, 20, sent))
    sent += 20
    await eventually(lambda: len(rows(folder)) >= sent, within_s=30)
    last.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(last.wait, 20) == 0
    await producer.send(calls(name, 20, sent))
    sent += 20
    once = sink("parquet", str(folder), "--where", f"project={name}", "--once")
    assert await asyncio.to_thread(once.wait, 30) == 0
    found = rows(folder)
    assert Counter(row["id"] for row in found) == Counter({str(number): 1 for number in range(sent)})
    assert {row["project"] for row in found} == {name}
    assert (found[0]["micros"], found[0]["status"]) == (1_000, 200)
