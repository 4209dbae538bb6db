"""What an owner says of the traces of a project and its operations.

In:    mappings from `weir.yaml` and `operations.yaml`.
Out:   frozen models; `trace_rule`, which puts them together for one operation.
Never: a clock, a choice: `telemetry/sampling.py` makes that.
"""

import sys

from msgspec import Struct
from pydantic import Field

from shared.project.access.sparse import Sparse
from shared.project.base import Name
from shared.project.durations import Duration

NEVER_US = sys.maxsize


class Traced(Sparse):
    """`ratio`: share of the calls that leave a trace. `slow`: a call that takes longer leaves one in any case."""

    ratio: float | None = Field(default=None, ge=0, le=1)
    slow_ms: Duration | None = Field(default=None, alias="slow", ge=1)


class TracedProject(Traced):
    """`debug`: clients whose calls leave a trace whenever they ask for it with the header `x-weir-trace`."""

    debug: tuple[Name, ...] = ()


class TraceRule(Struct, frozen=True):
    """For one operation; None: what the settings say."""

    ratio: float | None = None
    slow_us: int | None = None
    debug: frozenset[str] = frozenset()

    def is_slow(self, took_us: int, otherwise_us: int) -> bool:
        """Whether a call took too long; `otherwise_us` where nothing is said."""
        return took_us > (otherwise_us if self.slow_us is None else self.slow_us)


# what an operation has of which nobody says anything
NO_RULE = TraceRule()


def trace_rule(own: Traced, project: TracedProject, *, waits: bool) -> TraceRule:
    """The operation's word, then the project's. `waits`: whether callers wait for the work itself. Work that is
    answered before it runs takes as long as it takes, and so does a stream: slow is what the operation itself says."""
    slow_ms = own.slow_ms if own.slow_ms is not None or not waits else project.slow_ms
    slow_us = slow_ms * 1000 if slow_ms is not None else None if waits else NEVER_US
    return TraceRule(project.ratio if own.ratio is None else own.ratio, slow_us, frozenset(project.debug))
