"""A process whose parts have stopped ends."""

import subprocess
import sys

from tests.support.platform import ROOT

LINGERING = """
import asyncio, threading
from shared.runtime import service
from shared.runtime.health import Health
from shared.runtime.tasks import Tasks
from shared.telemetry.metrics import Metrics

class Part:
    async def start(self):
        threading.Thread(target=threading.Event().wait).start()
        tasks.fail(RuntimeError("no more"))
    async def stop(self):
        pass

class Own:
    pass

async def build(settings, own):
    global tasks
    tasks = Tasks()
    return service.Service(parts=(Part(),), health=Health("x", Metrics()), tasks=tasks)

service._LINGER_S = 0.2
raise SystemExit(service.run_service("x", Own, build))
"""


def test_process_of_which_a_thread_is_left_ends_and_says_where_that_is() -> None:
    done = subprocess.run([sys.executable, "-c", LINGERING], cwd=ROOT, capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 1
    assert "x ends: RuntimeError('no more')" in done.stderr
    assert "x has stopped" in done.stderr
    assert "Timeout" in done.stderr
    assert "threading.py" in done.stderr
