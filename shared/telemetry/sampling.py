"""Which requests leave a trace: decided once, at the head, where a request comes in.

In:    the context that came with a request or was made for it, what its project says.
Out:   the context that goes on.
Never: a caller who makes this cluster write more traces than it is told to: its word is bounded like our own choice.
"""

import random
from collections.abc import Callable

from shared.clock import Clock
from shared.contracts.traceparent import TraceContext


class Sampler:
    """A share of the requests, at most so many a second in one process."""

    def __init__(self, clock: Clock, *, ratio: float, max_per_s: int,
                 chance: Callable[[], float] = random.random) -> None:
        """`ratio`: where a project says nothing."""
        self._clock, self._ratio, self._max_per_s, self._chance = clock, ratio, max_per_s, chance
        self._left, self._filled_us = float(max_per_s), clock.elapsed_us()

    def head(self, trace: TraceContext, ratio: float | None, *, forced: bool = False) -> TraceContext:
        """The same trace, sampled or not. `forced`: whoever asks for it may have it."""
        if trace.root:
            wanted = self._ratio if ratio is None else ratio
            sampled = self._chance() < wanted and self._room()
        else:
            sampled = trace.sampled and self._room()
        if (sampled or forced) == trace.sampled:
            return trace
        return TraceContext(trace.trace_id, trace.span_id, sampled or forced, trace.root, trace.random)

    def _room(self) -> bool:
        now_us = self._clock.elapsed_us()
        self._left = min(float(self._max_per_s), self._left + (now_us - self._filled_us) * self._max_per_s / 1e6)
        self._filled_us = now_us
        if self._left < 1:
            return False
        self._left -= 1
        return True
