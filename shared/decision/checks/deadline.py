"""Is there still time?

In:    the request's deadline.
Out:   TimedOut when it has passed: nobody listens any more, so nothing may start.
Never: a default deadline; the operation's own timeout gives that, when the case is admitted.
"""

from shared.decision.case import Case
from shared.errors import TimedOut


def there_is_time(case: Case) -> TimedOut | None:
    """Refuse what comes too late."""
    deadline = case.request.deadline_ms
    if deadline is None or deadline > case.now_ms:
        return None
    return TimedOut(f"the deadline had passed {case.now_ms - deadline} ms before the request could be decided")
