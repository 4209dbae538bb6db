"""A record that could not be used, on `weir.dead-letters`.

In:    the original record and what was wrong with it.
Out:   its headers; the value is the original value, byte for byte.
Never: a secret: the values of headers that hold one are replaced before the record goes to rest.

Headers: the original ones, then `weir-dead-topic`, `-partition`, `-offset` (the place), `-service`, `-error`,
`-time` (unix ms); `-cut` instead of the original ones, and no value, where the record leaves no room for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.origin import Origin
from shared.names import headers as H

REMOVED = b"[removed]"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """The place, the reader, the reason."""

    origin: Origin
    service: str
    error: str
    time_ms: int

    def to_headers(self, original: Sequence[tuple[str, bytes | None]]) -> list[tuple[str, bytes]]:
        """Headers of the dead letter."""
        kept = [(key, REMOVED if key.lower() in H.SECRET_HEADERS else value or b"") for key, value in original]
        return [
            *kept, (H.DEAD_TOPIC, self.origin.topic.encode()), (H.DEAD_PARTITION, b"%d" % self.origin.partition),
            (H.DEAD_OFFSET, b"%d" % self.origin.offset), (H.DEAD_SERVICE, self.service.encode()),
            (H.DEAD_ERROR, self.error.encode(errors="replace")), (H.DEAD_TIME, b"%d" % self.time_ms),
        ]
