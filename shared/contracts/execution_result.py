"""How an execution stands, as the store keeps it for whoever started it.

In:    what policy accepts; what the executor runs and answers.
Out:   `ExecutionResult`, both ways, and what its caller reads.
Never: the trigger.

Value: JSON; a body in base64.
"""

from typing import Any, Literal, Self

import msgspec
import orjson
from msgspec import Struct

from shared.contracts.reply import ReplyRecord
from shared.project.media import is_json

State = Literal["accepted", "running", "waiting", "succeeded", "failed", "cancelled"]
OVER = frozenset({"succeeded", "failed", "cancelled"})


class ExecutionResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Times in unix ms. `client`: who may read it; empty for a public call. `steps`: ids of those that are done.

    `resumed`: when it was last, 0: never. `until`: when one that waits goes on, 0: it does not wait.
    """

    id: str
    operation: str
    client: str
    state: State
    accepted: int
    resumed: int = 0
    until: int = 0
    ended: int | None = None
    tasks: int = 0
    steps: tuple[str, ...] = ()
    status: int | None = None
    headers: dict[str, str] = {}
    content_type: str | None = None
    body: bytes = b""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self.state in OVER

    def answered(self, reply: ReplyRecord, ended: int, tasks: int, steps: tuple[str, ...], *, well: bool) -> Self:
        """The same execution with its answer; `well`: a workflow has given it, be it a problem document."""
        return msgspec.structs.replace(
            self, state="succeeded" if well else "failed", ended=ended, tasks=tasks,
            steps=steps, status=reply.status, headers=reply.headers, content_type=reply.content_type, body=reply.body)

    def to_bytes(self) -> bytes:
        """The value."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """Read a value that `to_bytes` has written."""
        return msgspec.json.decode(value, type=cls)

    def to_doc(self) -> dict[str, Any]:
        """What the caller reads."""
        doc: dict[str, Any] = {"execution": self.id, "operation": self.operation, "status": self.state,
                               "steps": self.steps, "tasks": self.tasks, "accepted": self.accepted}
        if self.until:
            doc["until"] = self.until
        if self.is_over:
            doc |= {"ended": self.ended, "result": {
                "status": self.status, "headers": self.headers, "body": self._readable()}}
        return doc

    def _readable(self) -> Any:
        if self.body and self.content_type is not None and is_json(self.content_type):
            # as it is: it may be nested as deep as can be written already
            return orjson.Fragment(self.body)
        return self.body.decode(errors="replace") if self.body else None
