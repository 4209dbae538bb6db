"""A finding on `weir.signals`: who is to be blocked or throttled, until when, and why.

In:    what a detector found, or a person decided.
Out:   `Signal` and its key, both ways.
Never: a secret: a token is named by its id, evidence counts and names request ids.

Key: `<project>/<kind>/<subject>`, so that a later signal about the same subject replaces the earlier one; project `*`
means all. Value: JSON with the fields below; times in unix ms. `rate`: calls per minute that a throttle leaves. An IPv6
address may be a network of 64 bits (`2001:db8:0:7::/64`): whoever has one address in it has them all. A signal that
lasts `FOREVER` is pinned; those and all long ones stand on the config topic (`config.Pin`), for this one forgets.

A signal of kind `allowance` says that a threshold is reached: its subject is the allowance's name, followed by the
client and the operation whose amount it is, if each has one of its own; its action is `observe`.
"""

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, Self

import msgspec
import orjson
from msgspec import Meta

from shared.contracts import codec
from shared.contracts.config import Rate
from shared.contracts.usage import Moment
from shared.errors import BadRecord

Kind = Literal["client", "ip", "token"]
Action = Literal["observe", "throttle", "block", "unblock"]
EVERYWHERE = "*"
MANUAL = "manual"
FOREVER = 2**53 - 1
# what a signal in force does; the action that is left takes it back
IN_FORCE: tuple[Action, ...] = ("observe", "throttle", "block")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """`detector`: who found it, `manual` for a person; `version`: of the detector."""

    project: str
    kind: Kind | Literal["allowance"]
    subject: str
    action: Action
    until: Annotated[int, Meta(ge=0, le=FOREVER)]
    time: Moment
    detector: str
    version: int = 0
    reason: str = ""
    rate: Rate = 0
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"{self.project}/{self.kind}/{self.subject}".encode()

    @property
    def pinned(self) -> bool:
        """Whether only a person ends it."""
        return self.until >= FOREVER

    def to_value(self) -> bytes:
        """The record's value."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_record(cls, key: bytes | None, value: bytes) -> Self:
        """Read one record. Raises BadRecord."""
        doc = codec.load_object(value, "signal")
        try:
            signal = msgspec.convert(doc, cls)
            # evidence is told to webhooks, and may be nested deeper than can be written
            signal.to_value()
        except (msgspec.ValidationError, TypeError) as exc:
            raise BadRecord(f"signal: {exc}") from exc
        if signal.key != key:
            raise BadRecord(f"signal {key!r} holds {signal.key!r}")
        return signal
