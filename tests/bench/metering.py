"""Counting under measurement: how fast one analytics process counts, what a query costs, what counting costs others.

`python -m tests.bench.metering count|memory|scale|query|share`; each prints its figures, and asserts nothing. `make bench`
runs all of them.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import redis

from shared.contracts.usage import Envelope, UsageEvent
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.settings.kafka import KafkaSettings
from tests.bench import projects
from tests.bench.projects import BODY
from tests.support import platform as platforms
from tests.support.platform import ROOT, Platform

EVENTS, PER_ENVELOPE = 400_000, 100
CLIENTS, OPERATIONS = 10_000, 100
MEMORY_EVENTS, LOOKS = 1_000_000, 8
DAY_MS = 86_400_000
PROJECT = "metered"


def events(count: int, clients: int, operations: int, since_ms: int, span_ms: int) -> Iterator[UsageEvent]:
    """Requests spread evenly over a span of time, by clients and operations at random."""
    chance = random.Random(1)
    for number in range(count):
        refused = number % 7 == 0
        yield UsageEvent(
            kind="request", id=f"01900000-0000-7000-8000-{number:012x}", time=since_ms + number * span_ms // count,
            project=PROJECT, operation=f"operation-{chance.randrange(operations)}",
            client=f"client-{chance.randrange(clients)}", source="edge", status=429 if refused else 200,
            reason="rate-limited" if refused else "ok", tasks=0 if refused else 4, bytes_in=120, bytes_out=900,
            timing={"policy-queue": chance.randrange(500, 3_000), "policy": 150,
                    "executor-queue": chance.randrange(500, 3_000), "executor": chance.randrange(1_000, 40_000)},
            trace_id=f"{number:032x}", origin=f"bench.{since_ms}/{number % 4}/{number // 4}")


async def publish(bootstrap: str, found: Iterator[UsageEvent], producer: str) -> int:
    """Envelopes onto the topic; how many."""
    outbox, sequence, batch = Outbox(KafkaSettings(bootstrap=bootstrap)), 0, []
    await outbox.start()
    last: asyncio.Future[None] | None = None
    for one in found:
        batch.append(one)
        if len(batch) == PER_ENVELOPE:
            last = outbox.send(topics.USAGE, *Envelope(producer=producer, sequence=sequence, events=batch).to_record())
            sequence, batch = sequence + 1, []
            if sequence % 50 == 0:
                await last
    if last is not None:
        await last
    await outbox.stop()
    return sequence


class Bench:
    """A cluster whose analytics is stopped while the topic fills, and measured while it empties."""

    def __init__(self, *arguments: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.cluster = platforms.start(Path(self.folder.name), "--no-example", *arguments)
        self.cluster.admin("POST", f"/projects/{PROJECT}/versions", {"files": {
            **projects.open_project(), "weir.yaml": json.dumps({"name": PROJECT})}})
        time.sleep(3)
        self.store = redis.Redis.from_url(self.cluster.redis_url)

    def close(self) -> None:
        """Take the cluster down."""
        self.store.close()
        platforms.stop(self.cluster)
        self.folder.cleanup()

    def process(self, name: str) -> psutil.Process:
        """One of the cluster."""
        return psutil.Process(self.cluster.processes()[name].pid)

    def counted(self) -> int:
        """Requests counted so far."""
        return int(self.store.hget("weir:usage:stream", "requests") or 0)

    def fill(self, found: Iterator[UsageEvent], producer: str) -> None:
        """Fill the topic while nobody counts: the process stands still for a moment that no session notices."""
        asyncio.run(publish(self.cluster.bootstrap, found, producer))

    def drain(self, wanted: int) -> float:
        """Seconds until so many are counted."""
        began = time.monotonic()
        while self.counted() < wanted:
            time.sleep(0.02)
        return time.monotonic() - began


def cpu_s(process: psutil.Process) -> float:
    """User and system time so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
