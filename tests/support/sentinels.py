"""A primary, two replicas and three Sentinels on this machine: what a store past one machine is."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import valkey
from deploy.local.ports import is_free
from deploy.local.valkey import Valkey
from tests.support.platform import ROOT, free_run

NAME = "weir"
SETTINGS = ROOT / "deploy/redis"
_READY_S = 20


class Sentinels:
    """Stores by port, the first of them the primary at the beginning."""

    def __init__(self, folder: Path) -> None:
        """Not running."""
        first = free_run(6, 20_000, 21_000)
        self._folder, self.stores, self.sentinels = folder, [*range(first, first + 3)], [*range(first + 3, first + 6)]
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """All of them; each listens then."""
        primary, *replicas = self.stores
        self._store(primary)
        for replica in replicas:
            self._store(replica, "--replicaof", "127.0.0.1", str(primary))
        told = (SETTINGS / "sentinel.conf").read_text()
        for port in self.sentinels:
            place = self._folder / f"sentinel-{port}.conf"
            place.write_text(told.replace("port 26379", f"port {port}\nbind 127.0.0.1\ndir {self._folder}")
                             .replace("store-0.store 6379", f"127.0.0.1 {primary}"))
            self._run(port, [valkey.server(), str(place), "--sentinel"])

    def kill(self, port: int) -> None:
        """As a power cut would."""
        process = self._running.pop(port)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """All that run."""
        for port in tuple(self._running):
            self.kill(port)

    def _store(self, port: int, *more: str) -> None:
        program, *here = Valkey(self._folder / str(port), port).command()
        # Sentinels have it written anew
        place = self._folder / f"store-{port}.conf"
        shutil.copy(SETTINGS / "store.conf", place)
        self._run(port, [program, str(place), *here, *more])

    def _run(self, port: int, command: list[str]) -> None:
        with (self._folder / f"{port}.log").open("ab") as log:
            self._running[port] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _READY_S
        while is_free(port):
            assert self._running[port].poll() is None, f"{self._folder}/{port}.log"
            assert time.monotonic() < deadline, f"{port} is not ready"
            time.sleep(0.05)


@contextmanager
def sentinels(folder: Path) -> Iterator[Sentinels]:
    """All of them, running."""
    made = Sentinels(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
