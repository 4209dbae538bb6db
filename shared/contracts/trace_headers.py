"""What callers send beside `traceparent`: `tracestate` (W3C trace context) and `baggage` (W3C baggage).

In:    a header's value; anything at all may stand in it.
Out:   the value to hand on, or None for a malformed one.
Never: an error; a look at what it means: it belongs to the caller and to those further on.
"""

import re

from shared.contracts.traceparent import TraceContext
from shared.names.headers import TCHAR

MAX_STATE, MAX_STATE_MEMBERS, LARGE_MEMBER = 512, 32, 128
MAX_BAGGAGE, MAX_BAGGAGE_MEMBERS = 8_192, 180
_STATE = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_TOKEN, _OCTETS = f"{TCHAR}+", r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_BAGGAGE = re.compile(rf"{_TOKEN}\s*=\s*{_OCTETS}(\s*;\s*{_TOKEN}(\s*=\s*{_OCTETS})?)*")


def tracestate(value: str | None, traceparent: str | None) -> str | None:
    """Of members with the same key the newest goes on (it stands first), of a text that is too long what is small, and
    of that the newest; nothing of a list with too many. The state of a context that nobody goes on with says nothing.
    """
    if value is None or TraceContext.parse(traceparent) is None:
        return None
    members = _members(value, _STATE)
    if members is None or len(members) > MAX_STATE_MEMBERS:
        return None
    newest: dict[str, str] = {}
    for member in members:
        newest.setdefault(member.partition("=")[0], member)
    members = list(newest.values())
    while len(",".join(members)) > MAX_STATE:
        members.remove(next((member for member in reversed(members) if len(member) > LARGE_MEMBER), members[-1]))
    return ",".join(members)


def baggage(value: str | None) -> str | None:
    """None for one that is larger than everybody has to take."""
    if value is None:
        return None
    members = _members(value, _BAGGAGE) if len(value) <= MAX_BAGGAGE else None
    return ",".join(members) if members and len(members) <= MAX_BAGGAGE_MEMBERS else None


def _members(value: str, form: re.Pattern[str]) -> list[str] | None:
    members = [member.strip(" \t") for member in value.split(",")]
    members = [member for member in members if member]
    return members if members and all(form.fullmatch(member) for member in members) else None
