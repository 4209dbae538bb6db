"""Projects under measurement: a token alone, the standard work, and the standard work in a large configuration."""

import asyncio
import json
import random
from typing import Any

from shared.contracts.config import Client, to_value
from shared.kafka.outbox import Outbox
from shared.names import topics
from shared.settings.kafka import KafkaSettings

FIELDS = ("name", "email", "department", "title", "city", "street", "phone", "manager", "team", "note")
BODY = json.dumps({field: f"{field} of somebody" for field in FIELDS})
OPERATIONS, POLICIES, NETWORKS, CLIENTS = 1_000, 200, 10_000, 10_000
WORKFLOW = json.dumps({"steps": [
    {"id": "shape", "transform": {"value": {"name": "{% trigger.body.name %}", "team": "{% trigger.body.team %}"}}},
    {"id": "answer", "reply": {"body": "{% steps.shape %}"}}]})
TRACED = 0.01


def operation(name: str) -> dict[str, Any]:
    """POST; the one that is called has a body of ten fields."""
    if name != "echo":
        return {"name": name, "method": "POST", "path": f"/{name}", "workflow": "echo"}
    schema = {"type": "object", "required": list(FIELDS[:5]), "additionalProperties": False,
              "properties": {field: {"type": "string", "maxLength": 100} for field in FIELDS}}
    return {"name": name, "method": "POST", "path": f"/{name}", "workflow": "echo", "input": {"body": schema}}


def guards(networks: list[str]) -> list[dict[str, Any]]:
    """Three policies that look at a role, an address and a header, and one limit."""
    return [
        {"name": "writers", "action": "reject", "rules": [{"role": {"is_not": "writer"}}]},
        {"name": "known-abusers", "action": "reject", "rules": [{"ip": networks}]},
        {"name": "no-robots", "action": "reject", "rules": [{"header": {"name": "x-robot", "exists": True}}]},
        {"name": "fair", "action": "accept", "limits": [{"limit": 1_000_000, "per": "minute", "by": "client"}]}]


def standard_workflow(*, durable: bool) -> str:
    """Transform, branch, reply."""
    steps = json.loads(WORKFLOW)["steps"]
    kinds = [[{"id": name, "transform": {"value": name}}] for name in ("known", "unknown")]
    steps.insert(1, {"id": "kind", "branch": {"if": "$exists(trigger.body.name)", "then": kinds[0], "else": kinds[1]}})
    return json.dumps({"durable": durable, "steps": steps})


def project(name: str, operations: list[str], access: dict[str, Any]) -> dict[str, str]:
    """Files; JSON is YAML."""
    return {"weir.yaml": json.dumps({"name": name}), "workflows/echo.yaml": WORKFLOW,
            "operations.yaml": json.dumps({"operations": [operation(one) for one in operations]}),
            "access.yaml": json.dumps({"roles": ["writer"], "clients": [{"name": "load", "roles": ["writer"]}],
                                       **access})}


def open_project(name: str = "open") -> dict[str, str]:
    """A token is all it takes."""
    return project(name, ["echo"], {})


def standard(name: str = "standard", *, durable: bool = False) -> dict[str, str]:
    """Token, three policies, a limit, a schema of ten fields, transform + branch + reply, one trace in a hundred."""
    return _standard(project(name, ["echo"], {"policies": guards(["192.0.2.0/24", "2001:db8::/32"])}), durable=durable)


def large() -> dict[str, str]:
    """The same work, in a configuration of the size that is promised."""
    chance = random.Random(7)
    networks = sorted({f"{chance.randint(11, 120)}.{chance.randint(0, 255)}.{chance.randint(0, 255)}.0/24"
                       for _ in range(NETWORKS + 200)})[:NETWORKS]
    others = [{"name": f"policy-{number}", "action": "reject", "operations": [f"operation-{number}"],
               "rules": [{"header": {"name": "x-never", "is": str(number)}}]} for number in range(POLICIES - 4)]
    names = ["echo", *(f"operation-{number}" for number in range(OPERATIONS - 1))]
    return _standard(project("large", names, {"networks": {"abusers": networks},
                                              "policies": [*others, *guards(["abusers"])]}), durable=False)


def _standard(files: dict[str, str], *, durable: bool) -> dict[str, str]:
    header = {**json.loads(files["weir.yaml"]), "tracing": {"ratio": TRACED}}
    return {**files, "weir.yaml": json.dumps(header), "workflows/echo.yaml": standard_workflow(durable=durable)}


async def make_clients(bootstrap: str) -> None:
    """Ten thousand clients, as control would write them."""
    outbox = Outbox(KafkaSettings(bootstrap=bootstrap))
    await outbox.start()
    clients = [Client(project="large", name=f"client-{number}", roles=["writer"], time=0) for number in range(CLIENTS)]
    await asyncio.gather(*{outbox.send(topics.CONFIG, to_value(one), [], key=one.key, partition=0)
                           for one in clients})
    await outbox.stop()
