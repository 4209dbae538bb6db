"""A line on `weir.audit`: who changed what, and when.

In:    a change that is in force.
Out:   `AuditLine`; its value.
Never: what was there before, or is there now: a version has its own record.

Key: the project. Value: JSON with the fields below.
"""

import msgspec
from msgspec import Struct

from shared.contracts.usage import Moment


class AuditLine(Struct, frozen=True, kw_only=True):
    """`time`: unix ms. `subject`: what was changed, by its name or id; of a project its version."""

    time: Moment
    who: str
    what: str
    project: str
    subject: str | int

    def to_value(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self)
