"""What a consumed record looks like to us.

In:    nothing.
Out:   `Record`: the members of a Kafka client's record that we use.
Never: behaviour.
"""

from collections.abc import Sequence
from typing import Protocol


class Record(Protocol):
    """A record with its place; `timestamp` in unix ms, headers in order, values may be null."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
