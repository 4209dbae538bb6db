"""The page about usage has a receiver of the webhook: it takes what a sink posts, and nothing else."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from services.sinks.webhook import keys_of
from shared.contracts.webhook import signed
from shared.kafka.outbox import Outbox
from tests.e2e.test_usage import Producer, calls
from tests.support.platform import PROJECT, ROOT, Platform, eventually, free_ports

PAGE = (ROOT / "docs/usage.md").read_text()
RECEIVER, = re.findall(r"`receiver.py`:\n\n```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS, = re.findall(r"```sh\n(echo \"whsec_.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def running(platform: Platform, name: str, tmp_path: Path) -> Iterator[str]:
    """What the page says to type, with the addresses and names of this test; the receiver's address."""
    [port] = free_ports(1)
    script = COMMANDS
    for documented, actual in (
            ("8900", str(port)), ("--name billing", f"--name {name}"), (f"project={PROJECT}", f"project={name}"),
            ("python receiver.py", f"{sys.executable} receiver.py > taken.txt"),
            (".venv/bin/weir", f"{sys.executable} -m services.console.cli.main")):
        assert documented in script, documented
        script = script.replace(documented, actual)
    (tmp_path / "receiver.py").write_text(RECEIVER.replace("8900", str(port)))
    with (tmp_path / "shown.txt").open("wb") as shown:
        process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, stdout=shown,
                                   stderr=shown, start_new_session=True, env={**os.environ, **platform.env})
    yield f"http://127.0.0.1:{port}/usage"
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(20)


async def test_receiver_of_the_page_takes_each_event_of_a_sink_once_and_no_forged_one(
        running: str, outbox: Outbox, http: ClientSession, name: str, tmp_path: Path) -> None:
    producer = Producer(outbox, f"producer-{name}")

    def written(file: str) -> str:
        path = tmp_path / file
        return path.read_text() if path.exists() else ""
    # the second time as after a kill
    for posts in (1, 2):
        await producer.send(calls(name, 30, client="till"))
        await eventually(lambda posts=posts: written("shown.txt").count('"POST /usage') == posts, within_s=30)
    assert written("taken.txt").splitlines() == [f"{number} {name} till o 1" for number in range(30)]

    secret, body, now = written("whsec.txt"), b'[{"type": "weir.usage.request.v1"}]', int(time.time())
    good = signed(keys_of(secret), "usage_1", now, b"[]")
    right = signed(keys_of(secret), "usage_1", now, body)
    forged = [{}, good, {**right, "webhook-id": "usage_2"}, {**right, "webhook-timestamp": str(now + 1)},
              signed([b"another key"], "usage_1", now, body), signed(keys_of(secret), "usage_1", now - 600, body)]
    for headers, content, wanted in [*((headers, body, 401) for headers in forged), (good, b"[]", 204)]:
        async with http.post(running, data=content, headers=headers) as answer:
            assert answer.status == wanted, headers
