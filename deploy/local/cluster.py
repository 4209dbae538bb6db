"""What the local cluster consists of.

In:    ports and addresses from the environment, how many of each service.
Out:   one `ProcessPlan` per process, in starting order.
Never: a process started; `supervisor.py` does that.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.broker import Broker
from deploy.local.faults import LocalFault
from deploy.local.secrets import cluster_key
from deploy.local.valkey import Valkey

SERVICES = ("policy", "executor", "analytics", "control", "ingress")
# first health port of each service; instance n listens n ports further
HEALTH_PORTS = {"policy": 9100, "executor": 9120, "analytics": 9140, "control": 9160, "ingress": 9180}
_KEY_HOLDERS = ("ingress", "policy", "executor", "control")
_MOST_INSTANCES = 20
_LOOPBACK = '["127.0.0.0/8", "::1/128"]'
# beside the code, wherever a command is called
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STUB = EXAMPLES / "employee-directory" / "stub_hr.py"


class LocalSettings(BaseSettings):
    """Environment: WEIR_<FIELD>. Addresses that are set name an outside broker or store; then none is started."""

    model_config = SettingsConfigDict(env_prefix="WEIR_", frozen=True, extra="ignore")

    state_dir: Path = Path(".weir")
    """Where `weir up` keeps the data, logs and tokens of the local cluster."""
    kafka_bootstrap: str | None = None
    """An outside broker; then none is started here."""
    redis_url: str | None = Field(default=None, repr=False)
    """An outside store; then none is started here. Never shown."""
    kafka_port: PositiveInt = 9092
    """Of the local broker, and the port behind it of its controller."""
    redis_port: PositiveInt = 6380
    """Of the local store."""
    ingress_port: PositiveInt = 8080
    """Of the local API; several processes of ingress share it."""
    control_port: PositiveInt = 8081
    """Of the local admin API."""
    stub_hr_port: PositiveInt = 8090
    """Of the outside system of the first example."""
    health_port_base: int = 0
    """Is added to the health ports of all services, which are 9100 and above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """One process. `ready_url` None: ready when its port answers; `ports`: number -> (purpose, setting)."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    port: int = 0
    ready_url: str | None = None
    ports: dict[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """Everything to run. `bootstrap` and `redis_url` are what services are told."""

    state_dir: Path
    bootstrap: str
    redis_url: str = field(repr=False)
    broker: Broker | None
    store: Valkey | None
    services: list[ProcessPlan]
    ingress_url: str
    control_url: str

    def ports(self) -> dict[int, tuple[str, str]]:
        """All ports that have to be free; processes of ingress share one. Raises LocalFault for one that is needed
        twice."""
        uses = [(number, use) for plan in self.services for number, use in plan.ports.items()]
        if self.broker is not None:
            uses.append((self.broker.port, ("Kafka", "WEIR_KAFKA_PORT, or name an outside broker with "
                                                     "WEIR_KAFKA_BOOTSTRAP")))
            uses.append((self.broker.controller_port, ("Kafka's controller, the one behind Kafka's own",
                                                       "WEIR_KAFKA_PORT")))
        if self.store is not None:
            uses.append((self.store.port, ("Valkey", "WEIR_REDIS_PORT, or name an outside Redis with WEIR_REDIS_URL")))
        ports = dict[int, tuple[str, str]]()
        for number, use in uses:
            if ports.get(number, use) != use:
                raise LocalFault(f"port {number} is needed for {ports[number][0]}, and for {use[0]}; choose another "
                                 f"port with {use[1]}")
            ports[number] = use
        return ports


def parse_scale(text: str) -> dict[str, int]:
    """`policy=2,executor=3` as a mapping. Raises LocalFault."""
    scale = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, count = part.partition("=")
        # without analytics nothing is counted until one runs again
        least = 0 if name == "analytics" else 1
        if name not in SERVICES or not count.isdigit() or not least <= int(count) <= _MOST_INSTANCES:
            raise LocalFault(f"--scale {part!r}: expected one of {', '.join(SERVICES)}, `=`, and a number from {least} "
                             f"to {_MOST_INSTANCES}, as in policy=2,executor=2")
        scale[name] = int(count)
    if scale.get("control", 1) > 1:
        raise LocalFault("--scale control: there is one writer of the configuration, so one control process")
    return scale


def scale_of(names: Iterable[str]) -> dict[str, int]:
    """How many of each service there are, by the names of their processes."""
    found = Counter(name.rpartition("-")[0] for name in names)
    return {name: found[name] for name in SERVICES}


def plan(settings: LocalSettings, jars: list[Path], scale: Mapping[str, int], *, example: bool) -> ClusterPlan:
    """The processes of a cluster with these settings."""
    state = settings.state_dir.resolve()
    broker = None if settings.kafka_bootstrap else Broker(state / "kafka", settings.kafka_port, jars)
    store = None if settings.redis_url else Valkey(state / "valkey", settings.redis_port)
    bootstrap = settings.kafka_bootstrap or (broker.bootstrap if broker else "")
    redis_url = settings.redis_url or (store.url if store else "")
    common = {"WEIR_KAFKA_BOOTSTRAP": bootstrap, "WEIR_REDIS_URL": redis_url, "WEIR_STATE_DIR": str(state),
              "WEIR_INGRESS_PORT": str(settings.ingress_port), "WEIR_CONTROL_PORT": str(settings.control_port),
              "WEIR_EXAMPLE_HR_URL": f"http://127.0.0.1:{settings.stub_hr_port}",
              # the outside systems of the examples run on this machine, and webhooks that somebody tries out
              **{name: os.environ.get(name, _LOOPBACK)
                 for name in ("WEIR_EXECUTOR_ALLOW_NETWORKS", "WEIR_ANALYTICS_ALLOW_NETWORKS")},
              "WEIR_EXECUTOR_PUBLISH_TOPICS": os.environ.get("WEIR_EXECUTOR_PUBLISH_TOPICS", '["examples."]')}
    keys = {"WEIR_CLUSTER_KEY": os.environ.get("WEIR_CLUSTER_KEY") or cluster_key(state)}
    own = {"policy": {"WEIR_POLICY_INSTANCES": str(scale.get("policy", 1))}}
    services = [_service(settings, name, number, {**common, **(keys if name in _KEY_HOLDERS else {}),
                                                  **own.get(name, {})})
                for name in SERVICES for number in range(scale.get(name, 1))]
    if example and STUB.exists():
        services.append(_stub(settings.stub_hr_port))
    return ClusterPlan(state_dir=state, bootstrap=bootstrap, redis_url=redis_url, broker=broker, store=store,
                       services=services, ingress_url=f"http://127.0.0.1:{settings.ingress_port}",
                       control_url=f"http://127.0.0.1:{settings.control_port}")


def _service(settings: LocalSettings, name: str, number: int, common: Mapping[str, str]) -> ProcessPlan:
    health = HEALTH_PORTS[name] + number + settings.health_port_base
    ports = {health: (f"the health of {name}", "WEIR_HEALTH_PORT_BASE")}
    if name == "ingress":
        ports[settings.ingress_port] = ("the API", "WEIR_INGRESS_PORT")
    if name == "control":
        ports[settings.control_port] = ("the admin API", "WEIR_CONTROL_PORT")
    return ProcessPlan(
        name=f"{name}-{number}", argv=[sys.executable, "-m", f"services.{name}"], port=health, ports=ports,
        env={**common, "WEIR_INSTANCE": f"{name}-{number}", "WEIR_HEALTH_PORT": str(health)},
        ready_url=f"http://127.0.0.1:{health}/-/ready")


def _stub(port: int) -> ProcessPlan:
    return ProcessPlan(name="stub-hr", argv=[sys.executable, str(STUB), "--port", str(port)], port=port,
                       ports={port: ("the example's HR system", "WEIR_STUB_HR_PORT")},
                       ready_url=f"http://127.0.0.1:{port}/-/ready")
