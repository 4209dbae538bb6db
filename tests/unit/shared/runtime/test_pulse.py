"""A loop that hangs ends its process, and says where it hung."""

import subprocess
import sys

PROGRAM = """
import asyncio, time
from shared.runtime.pulse import Pulse
from shared.runtime.tasks import Tasks
from shared.telemetry.metrics import Metrics

async def main():
    tasks = Tasks()
    pulse = Pulse(tasks, Metrics(muted=True), 1.0)
    await pulse.start()
    # longer than a hang, but the loop turns
    await asyncio.sleep(1.5)
    print("turned", flush=True)
    {then}

def hang():
    time.sleep(60)

asyncio.run(main())
"""


def run(then: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM.format(then=then)], capture_output=True, text=True, timeout=50,
                          check=False)


def test_process_whose_loop_hangs_ends_and_tells_where() -> None:
    done = run("hang()")
    assert (done.returncode, done.stdout) == (1, "turned\n")
    assert "in hang" in done.stderr


def test_process_that_has_stopped_its_pulse_is_left_alone() -> None:
    done = run("await pulse.stop(); time.sleep(1.5)")
    assert (done.returncode, done.stdout) == (0, "turned\n"), done.stderr
