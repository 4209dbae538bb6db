"""Projects with policies by chance, and calls that meet all that may stand in them."""

import random
from typing import Any, NamedTuple

import yaml

CLIENTS: dict[str, list[str]] = {"a": ["r1"], "b": ["r1", "r2"], "c": [], "d": ["r3"]}
PATHS = {"op1": ("GET", "/one"), "op2": ("POST", "/two"), "op3": ("POST", "/three/{id}"), "op4": ("PUT", "/four")}
_VALUES = ["x", "y", "xy", "X", "1", "2.5", "10", "", "a b", "é", "true"]
_COMPARISONS: list[Any] = [
    "x", ["1", "a b"], {"is": "x"}, {"is_not": "y"}, {"in": ["x", "1"]}, {"not_in": ["", "é"]}, {"exists": True},
    {"exists": False}, {"matches": "^x"}, {"matches": "(?i)X$"}, {"matches": "[0-9]+"}, {"starts_with": "a"},
    {"<": 2.5}, {">=": 10}, {">": 0, "<=": 10}, {"is_not": "xy", "starts_with": "x"}]
_WHENS = ['"x-a" in header && header["x-a"] == "x"', 'header["x-a"] == "x"', "has(body.v)", "body.v > 3", "size > 10",
          '"r1" in roles', 'client == "a"', "size(query.q) > 1", 'query["q"][0] == "x"', 'ip.startsWith("127.")',
          'operation == "op1"', 'method == "GET" || authenticated', "type(body) == map && has(body.o)"]
_BODIES = [b"{}", b'{"v":1}', b'{"v":"x"}', b'{"v":5,"o":{"w":"y"},"l":["x",2]}', b"[]", b"null", b"3", b'{"a/b":"x"}',
           b'{"v":1,"v":2}', b'{"o":{"w":{"z":1}}}', b'{"v":true}', '{"v":"é"}'.encode()]
_TYPES = [None, "application/json", "Application/JSON; charset=utf-8", "text/plain", "application/x+json", ""]


class RandomCall(NamedTuple):
    """What is sent; `client`: nobody where it is None."""

    operation: str
    client: str | None
    headers: list[tuple[str, str]]
    query: list[tuple[str, str]]
    body: bytes


class Chance:
    """Draws; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        """Nothing drawn yet."""
        self._draw = random.Random(seed)

    def _now_and_then(self, share: float) -> bool:
        return self._draw.random() < share

    def _compared(self, **where: str) -> dict[str, Any]:
        drawn = self._draw.choice(_COMPARISONS)
        return {**where, **(drawn if isinstance(drawn, dict) else {"in" if isinstance(drawn, list) else "is": drawn})}

    def _rule(self) -> dict[str, Any]:
        choice = self._draw.choice
        return choice([
            lambda: {"authenticated": self._now_and_then(0.7)},
            lambda: {"role": choice(["r1", ["r2", "r3"], {"is_not": "r1"}, {"not_in": ["r1", "r3"]}])},
            lambda: {"client": choice(["a", {"is_not": "b"}, {"starts_with": "a"}, {"in": ["a", "c"]}])},
            lambda: {"ip": choice(["127.0.0.0/8", "10.0.0.0/8", {"not_in": ["net"]}, {"not_in": ["::1"]}])},
            lambda: {"header": self._compared(name=choice(["x-a", "x-b"]))},
            lambda: {"query": self._compared(name=choice(["q", "n"]))},
            lambda: {"body": self._compared(at=choice(["/v", "/o/w", "/l", "", "/l/0", "/a~1b"]))},
            lambda: {"size": {choice(["<", ">", "<=", ">="]): choice([5, 10, 30])}},
            lambda: {"when": choice(_WHENS)}])()

    def _limit(self) -> dict[str, Any]:
        choice = self._draw.choice
        return {"limit": choice([3, 5, 10, 20]), "per": choice(["hour", "day"]),
                "by": choice(["client", "ip", "operation", "project", ["client", "operation"], "header:x-a", "role"]),
                **choice([{}, {"burst": 4}, {"per": "day", "calendar": "Europe/Berlin"}, {"mode": "observe"}]),
                **choice([{}, {"cost": "size / 10 + 1"}, {"cost": "has(body.v) ? 2 : 1"}])}

    def _policy(self, number: int, *, limits: bool) -> dict[str, Any]:
        action = self._draw.choice(["reject", "reject", "accept"])
        made: dict[str, Any] = {"name": f"p{number}", "action": action}
        if self._now_and_then(0.6):
            made["operations"] = self._draw.choice([["op1"], ["op2", "op4"], ["op*"], ["*3"]])
        if self._now_and_then(0.9):
            made["rules"] = [self._rule() for _ in range(self._draw.randint(1, 3))]
        if self._now_and_then(0.2):
            made["mode"] = "observe"
        if action == "reject" and self._now_and_then(0.3):
            made["status"] = self._draw.choice([400, 404, 418, 451])
        if action == "accept" and limits:
            made["limits"] = [self._limit() for _ in range(self._draw.randint(1, 2))]
        return made

    def _operation(self, name: str) -> dict[str, Any]:
        method, path = PATHS[name]
        schemas: dict[str, Any] = {}
        if method != "GET" and self._now_and_then(0.4):
            schemas["body"] = self._draw.choice([{"type": "object", "required": ["v"]}, {"type": "array"}])
        if self._now_and_then(0.3):
            schemas["query"] = {"type": "object", "properties": {"n": {"type": "integer"}}}
        return {"name": name, "method": method, "path": path, "workflow": "w", "public": self._now_and_then(0.25),
                **({"input": schemas} if schemas else {})}

    def _form(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self._now_and_then(0.4):
            made["headers"] = [{"operations": ["op1", "op3"], **self._draw.choice([
                {"require": ["x-a"]}, {"forbid": ["x-b"]}, {"match": {"x-a": "^[a-z]*$"}},
                {"content_types": ["application/json"]}])}]
        if self._now_and_then(0.4):
            made["bounds"] = [self._draw.choice([{"body": "20B"}, {"query": "20B"}, {"json_depth": 2},
                                                 {"duplicate_keys": False}])]
        return made

    def access(self, *, limits: bool) -> dict[str, Any]:
        """What `access.yaml` holds."""
        return {"roles": ["r1", "r2", "r3"], "networks": {"net": ["127.0.0.1", "192.168.0.0/16"]},
                "clients": [{"name": name, "roles": roles} for name, roles in CLIENTS.items()],
                "policies": [self._policy(number, limits=limits) for number in range(self._draw.randint(1, 5))],
                **self._form()}

    def files(self, name: str, *, limits: bool) -> dict[str, str]:
        """A whole project."""
        auth = {"auth": "deny"} if self._now_and_then(0.3) else {}
        return {"weir.yaml": yaml.safe_dump({"name": name, **auth}),
                "access.yaml": yaml.safe_dump(self.access(limits=limits), allow_unicode=True),
                "operations.yaml": yaml.safe_dump({"operations": [self._operation(one) for one in PATHS]}),
                "workflows/w.yaml": "steps: [{id: a, reply: {body: 1}}]"}

    def call(self) -> RandomCall:
        """One call."""
        choice, some = self._draw.choice, range(self._draw.randint(0, 3))
        operation = choice(list(PATHS))
        headers = [(choice(["X-A", "x-a", "X-B"]), choice(["x, y", " x ", *_VALUES])) for _ in some]
        kind = choice(_TYPES)
        return RandomCall(
            operation, choice([None, *CLIENTS]), [*headers, *([] if kind is None else [("Content-Type", kind)])],
            [(choice("qn"), choice(["long value", *_VALUES])) for _ in some],
            b"" if PATHS[operation][0] == "GET" else choice(_BODIES))
