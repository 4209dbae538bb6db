"""What the store keeps under an idempotency key.

In:    a request that has claimed the key; later its answer.
Out:   `KeptAnswer`, both ways.
Never: the key itself: what it is kept under is a digest.

Value: a line of JSON {request_id, digest, status, headers, content_type}, a newline, the body. Status 0: still running;
the body then says which attempt has claimed the key, and nothing once another one has asked for it. Where its publisher
has chosen the id of one that runs, its record's place follows the id: `<id>@<topic>/<partition>/<offset>`, or
`<id>@letter/<number>` of a dead letter that was sent again.
"""

from dataclasses import dataclass, field, fields
from typing import Self

import orjson

from shared.contracts.reply import ReplyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """`digest`: of what was asked, so that another question under the same key is noticed."""

    request_id: str
    digest: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    body: bytes = b""

    @property
    def is_running(self) -> bool:
        """Whether there is no answer yet."""
        return self.status == 0

    @classmethod
    def claimed(cls, request_id: str, digest: str, attempt: str = "") -> Self:
        """What stands there while a request runs. `attempt`: tells its tries apart; without it any of them is meant."""
        return cls(request_id=request_id, digest=digest, body=attempt.encode())

    @classmethod
    def of(cls, reply: ReplyRecord, digest: str) -> Self:
        """The answer to a request."""
        return cls(request_id=reply.request_id, digest=digest, status=reply.status, headers=reply.headers,
                   content_type=reply.content_type, body=reply.body)

    def to_bytes(self) -> bytes:
        """The value."""
        head = {"request_id": self.request_id, "digest": self.digest, "status": self.status, "headers": self.headers,
                "content_type": self.content_type}
        return orjson.dumps(head) + b"\n" + self.body

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """Read a value that `to_bytes` has written, here or in a newer version: members that nobody knows are left."""
        head, _, body = value.partition(b"\n")
        return cls(**{name: said for name, said in orjson.loads(head).items() if name in _HEAD}, body=body)


_HEAD = frozenset(member.name for member in fields(KeptAnswer)) - {"body"}
