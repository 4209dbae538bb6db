"""Three real brokers on this machine, each a controller, too: what a cluster past one machine runs on."""

import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from deploy.local import jars
from deploy.local.broker import Broker, new_cluster_id
from deploy.local.ports import is_free
from tests.support.platform import ROOT, free_run

NODES = (1, 2, 3)
_READY_S = 90


def settings() -> dict[str, str]:
    """What brokers have in common, as `deploy/kafka` says it."""
    lines = (ROOT / "deploy/kafka/brokers.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


class Brokers:
    """Nodes by number; one can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        first, cluster_id, found = free_run(6, 31_000, 32_700), new_cluster_id(), jars.ensure(lambda _: None)
        voters = ",".join(f"{node}@127.0.0.1:{first + 2 * node - 1}" for node in NODES)
        self.nodes = {node: Broker(folder / f"node-{node}", first + 2 * (node - 1), found, {
            **settings(), "node.id": str(node), "controller.quorum.voters": voters,
            # whoever comes over a listener without a login has no name
            "super.users": "User:ANONYMOUS"}, cluster_id) for node in NODES}
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        """For clients."""
        return ",".join(broker.bootstrap for broker in self.nodes.values())

    @property
    def pids(self) -> list[int]:
        """Of those that run."""
        return [process.pid for process in self._running.values()]

    def start(self, node: int) -> None:
        """Run one; it is not ready yet."""
        broker = self.nodes[node]
        broker.prepare()
        with (broker.folder / "broker.log").open("ab") as log:
            self._running[node] = subprocess.Popen(broker.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self, node: int) -> None:
        """As a power cut would."""
        process = self._running.pop(node)
        process.kill()
        process.wait()

    @contextmanager
    def hanging(self, node: int) -> Iterator[None]:
        """As a machine without its disk does: it takes connections, and says nothing."""
        process = self._running[node]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def await_ready(self, node: int) -> None:
        """Until it listens to clients."""
        deadline = time.monotonic() + _READY_S
        while is_free(self.nodes[node].port):
            assert self._running[node].poll() is None, f"{self.nodes[node].folder}/broker.log"
            assert time.monotonic() < deadline, f"node {node} is not ready"
            time.sleep(0.1)

    def stop(self) -> None:
        """All that run."""
        for node in tuple(self._running):
            self.kill(node)


@contextmanager
def three_brokers(folder: Path) -> Iterator[Brokers]:
    """All three, ready."""
    brokers = Brokers(folder)
    with ThreadPoolExecutor() as pool:
        list(pool.map(Broker.prepare, brokers.nodes.values()))
    try:
        for node in NODES:
            brokers.start(node)
        for node in NODES:
            brokers.await_ready(node)
        yield brokers
    finally:
        brokers.stop()
