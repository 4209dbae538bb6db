"""Where commands of `warm.py` run: a process that has read what they need, and forks for each of them."""

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from services.console.cli.application import application
from services.console.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def command() -> tuple[str, ...]:
    """What to run in place of `weir`; the first who asks starts the process, and it ends with this one."""
    folder = tempfile.mkdtemp(prefix="weir-")
    place = f"{folder}/warm"
    process = subprocess.Popen([sys.executable, "-m", __name__, place], cwd=ROOT, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline(), "the process for commands did not start"

    def end() -> None:
        process.communicate()
        shutil.rmtree(folder)
    atexit.register(end)
    return (sys.executable, "-I", "-S", str(Path(__file__).with_name("warm.py")), place)


def serve(place: str) -> None:
    """Fork for each command, until whoever started us is gone."""
    application()
    gc.freeze()
    # nobody asks for the ends of the forks
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(place)
        door.listen(64)
        print("ready", flush=True)
        while sys.stdin not in select.select([sys.stdin, door], [], [])[0]:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _keep(line)
            line.close()


def _keep(line: socket.socket) -> None:
    """Run the command in a fork of its own, tell how it has ended; it ends, too, when whoever asked for it is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told, streams, *_ = socket.recv_fds(line, 1 << 20, 3)
    while not told.endswith(b"\n") and (more := line.recv(1 << 20)):
        told += more
    words, folder, env = json.loads(told)
    command = os.fork()
    if command == 0:
        line.close()
        _run(words, folder, env, streams)
    for stream in streams:
        os.close(stream)
    threading.Thread(target=_end_with, args=(line, command), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        line.send(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def _run(words: list[str], folder: str, env: dict[str, str], streams: list[int]) -> None:
    """Be the command, and nothing after it."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # those of the process that forked know whether their file could be sought in, and this one's need not be alike
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["weir", *words]
    main()
    raise SystemExit


def _end_with(line: socket.socket, command: int) -> None:
    line.recv(1)
    with contextlib.suppress(ProcessLookupError):
        os.kill(command, signal.SIGKILL)


if __name__ == "__main__":
    serve(sys.argv[1])
