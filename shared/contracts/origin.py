"""The place of a request record: what makes a usage event the same event when its record is delivered again.

In:    topic, partition, offset.
Out:   `Origin` and its wire form.
Never: anything else.
"""

import re
from typing import Annotated, Self

from msgspec import Meta, Struct

from shared.contracts.codec import HeaderMap, required
from shared.errors import BadRecord
from shared.names import headers as H

_FORM = re.compile(r"([^/]{1,249})/([0-9]{1,9})/([0-9]{1,18})")


class Origin(Struct, frozen=True):
    """Wire: `<topic>/<partition>/<offset>`, ASCII."""

    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    partition: Annotated[int, Meta(ge=0, lt=2**31)]
    offset: Annotated[int, Meta(ge=0, lt=10**18)]

    def __str__(self) -> str:
        """The wire form."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the wire form. Raises BadRecord."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise BadRecord(f"not the place of a record: {text[:80]!r}")
        topic, partition, offset = found.groups()
        return cls(topic, int(partition), int(offset))

    @classmethod
    def from_headers(cls, headers: HeaderMap) -> Self:
        """Read `weir-origin`."""
        return cls.parse(required(headers, H.ORIGIN))
