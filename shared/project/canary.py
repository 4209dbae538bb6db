"""The built-in project through which services prove that a request goes all the way.

In:    nothing.
Out:   `CANARY`, known to policy and executor without any configuration; its requests are never counted as usage.
Never: reachable over HTTP: its name is reserved and the edge has no route to it.
"""

from shared.project.model import Project

RESERVED_PREFIX = "weir-"

CANARY = Project.model_validate({
    "name": f"{RESERVED_PREFIX}canary",
    "operations": [{"name": "ping", "method": "GET", "path": "/ping", "workflow": "ping", "public": True}],
    "workflows": {"ping": {"name": "ping", "steps": [{"id": "answer", "reply": {"body": "pong"}}]}},
})
