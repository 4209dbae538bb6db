"""The place of a request record: what makes a usage event the same event when its record is delivered again.

In:    topic, partition, offset.
Out:   `Origin` and its wire form.
Never: anything else.
"""

from typing import Self

from msgspec import Struct

from shared.contracts.codec import HeaderMap, required
from shared.errors import BadRecord
from shared.names import headers as H


class Origin(Struct, frozen=True):
    """Wire: `<topic>/<partition>/<offset>`, ASCII."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """The wire form."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the wire form. Raises BadRecord."""
        parts = text.split("/")
        if len(parts) != 3 or len(text) > 300 or not (f"{parts[1]}{parts[2]}".isascii() and parts[1].isdigit()
                                                      and parts[2].isdigit()):
            raise BadRecord(f"not the place of a record: {text[:80]!r}")
        return cls(parts[0], int(parts[1]), int(parts[2]))

    @classmethod
    def from_headers(cls, headers: HeaderMap) -> Self:
        """Read `weir-origin`."""
        return cls.parse(required(headers, H.ORIGIN))
