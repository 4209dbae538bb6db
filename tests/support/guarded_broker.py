"""A real broker that asks who a client is, and lets each do what the list of topics implies."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from deploy.kafka.acls import MAKER, SERVICES, Grant, grants
from deploy.local import jars
from deploy.local.broker import Broker
from shared.settings.kafka import KafkaSettings
from tests.support.platform import free_run

_ADMIN = "admin"
_OPERATIONS = {"Read": AclOperation.READ, "Write": AclOperation.WRITE, "Create": AclOperation.CREATE,
               "Describe": AclOperation.DESCRIBE, "Alter": AclOperation.ALTER}
_KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.BROKER}


def secret_of(principal: str) -> str:
    """Every principal has a password of its own."""
    return f"{principal}-secret"


def settings_of(bootstrap: str, principal: str) -> KafkaSettings:
    """What a client of this principal is told."""
    return KafkaSettings(**environment_of(bootstrap, principal, prefix=""))


def environment_of(bootstrap: str, principal: str, prefix: str = "WEIR_KAFKA_") -> dict[str, str]:
    """The same as variables."""
    found = {"bootstrap": bootstrap, "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN",
             "sasl_username": principal, "sasl_password": secret_of(principal)}
    return {f"{prefix}{name.upper()}": value for name, value in found.items()} if prefix else found


@contextmanager
def guarded_broker(folder: Path, internal: Sequence[str], publish: Sequence[str] = ()) -> Iterator[str]:
    """Its address, once the grants are in force."""
    port = free_run(2, 31_000, 32_700)
    principals = [_ADMIN, MAKER, *(f"weir-{service}" for service in SERVICES), *internal]
    users = " ".join(f'user_{name}="{secret_of(name)}"' for name in principals)
    broker = Broker(folder, port, jars.ensure(lambda _: None), more={
        "listeners": f"SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1}",
        "advertised.listeners": f"SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "inter.broker.listener.name": "SASL_PLAINTEXT", "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config":
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="{_ADMIN}" password="{secret_of(_ADMIN)}" {users};',
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # the controller's listener, on this machine alone, knows nobody by name
        "super.users": f"User:{_ADMIN};User:ANONYMOUS"})
    broker.prepare()
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(broker.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _put_in_force(broker.bootstrap, grants(internal, publish))
        yield broker.bootstrap
    finally:
        process.kill()
        process.wait()


def _put_in_force(bootstrap: str, wanted: Sequence[Grant]) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap, "security.protocol": "SASL_PLAINTEXT",
                          "sasl.mechanism": "PLAIN", "sasl.username": _ADMIN, "sasl.password": secret_of(_ADMIN),
                          "log_level": 0})
    bindings = [AclBinding(
        _KINDS[grant.kind], grant.name, ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL,
        f"User:{grant.principal}", "*", _OPERATIONS[grant.operation], AclPermissionType.ALLOW) for grant in wanted]
    deadline = time.monotonic() + 60
    while True:
        try:
            for done in client.create_acls(bindings, request_timeout=10).values():
                done.result()
            return
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
