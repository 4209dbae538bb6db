"""The only place that asks for the time.

In:    nothing.
Out:   `Clock` (what code depends on) and `SystemClock`.
Never: sleeping, scheduling.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for deadlines and records; it may jump, so spans of time are measured by `elapsed_us`."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""

    def elapsed_us(self) -> int:
        """Microseconds of a clock that never goes back; only differences mean anything."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    def elapsed_us(self) -> int:
        """Microseconds of the monotonic clock."""
        return time.monotonic_ns() // 1_000
