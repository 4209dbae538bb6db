"""The W3C trace context header.

In:    a `traceparent` value, from a caller or a record; anything at all may stand in it.
Out:   `TraceContext`, or None for a malformed one (the recommendation says: start anew, never fail).
Never: spans; `shared/telemetry` makes those.
"""

import re
from random import getrandbits
from typing import Self

from msgspec import Struct

_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

_SAMPLED, _RANDOM = "13579bdf", "2367abef"


class TraceContext(Struct, frozen=True):
    """Wire: `00-<32 hex trace id>-<16 hex span id>-<2 hex flags>`; flag bit 0 says sampled, bit 1 `random` (level 2).

    `root`: no span has this span id yet, so what begins here has no parent. `random`: the trace id was made by chance,
    which those further on may build on; it goes with the id, whoever made that.
    """

    trace_id: str
    span_id: str
    sampled: bool
    root: bool = False
    random: bool = False

    @classmethod
    def parse(cls, value: str | None) -> Self | None:
        """Read a header; None when it is absent or malformed."""
        found = _FORM.fullmatch(value) if value else None
        if found is None:
            return None
        trace_id, span_id, flags, more = found.groups()
        if more and value is not None and value.startswith("00"):
            return None
        return cls(trace_id, span_id, flags[1] in _SAMPLED, random=flags[1] in _RANDOM)

    @classmethod
    def new(cls, *, sampled: bool) -> Self:
        """A fresh trace."""
        # ids of traces tell apart and prove nothing: no need to ask the system for chance
        made = f"{getrandbits(192):048x}"
        return cls(made[:32], made[32:], sampled, root=True, random=True)

    def renewed(self) -> Self:
        """The same trace under a span id that is nobody's yet: that of the span that may be made afterwards."""
        return type(self)(self.trace_id, f"{getrandbits(64):016x}", self.sampled, random=self.random)

    def __str__(self) -> str:
        """The header value."""
        return f"00-{self.trace_id}-{self.span_id}-0{self.sampled + 2 * self.random}"
