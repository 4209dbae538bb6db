"""What the admin API refuses, beside what every API refuses.

In:    nothing.
Out:   the classes.
Never: HTTP.
"""

from shared.errors import Refused
from shared.names.reasons import Reason


class NotFound(Refused):
    """The named thing does not exist."""

    reason, title, status = Reason.NOT_FOUND, "Not found", 404


class Conflict(Refused):
    """The state is not the one that the caller expected."""

    reason, title, status = Reason.CONFLICT, "Not the expected state", 409
