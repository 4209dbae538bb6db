"""How many calls may be under way: as many as the cluster answers without keeping them waiting in its queues.

In:    calls that come and end; of each answer, how long it took and what each hop says of its time.
Out:   a place, at once or after a while in line; Overloaded.
Never: HTTP, Kafka; a word on whose call it is.

Each answer tells how long it waited in queues. While that is less than `target_ms`, every call gets a place, slow
workflows too. When it is more, there are places for what is answered in that time (Little's law: calls under way = rate
of answers x their time), and whoever comes then waits in line here, where waiting costs nothing.

The line is served in the order of arrival until it is so long that some have to be refused. From then on, and for a
second after, those who came last go first, and those who have waited for longer than `target_ms` wait for a moment in
which nobody is refused: nobody may want their answers any more (adaptive LIFO: B. Maurer, "Fail at Scale", ACM Queue
13/8, 2015). Whoever has waited for `patience_ms` is refused. A long line is of no use then, and whoever leaves it in
vain costs more than one who is refused at once: it has room for few, and for some more every moment, for the overload
may be over.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.clock import Clock
from shared.errors import Overloaded

LEAST = 64
# answers come in trains: what one window holds says little
_WINDOWS = 5
_WINDOW_US, _HASTE_US, _LOOK_S = 200_000, 1_000_000, 0.1
# what is longer ago says nothing of now
_STALE_US = 2 * _WINDOWS * _WINDOW_US
# from what arrives on a connection to the task that asks for a place
_TURNS = 4
# by which part the line gets longer at each look, when few are refused, and when many are
_SOON, _LATER = 8, 64
_AGAIN = {"Retry-After": "1"}


@dataclass(slots=True)
class Window:
    """Answers of a span of time; sums of microseconds. `inside`: how many calls were under way at the most."""

    began_us: int
    answers: int = 0
    queued_us: int = 0
    worked_us: int = 0
    inside: int = 0


def places(window: Window, now_us: int, before: int, target_us: int, most: int, *, wanted: bool) -> int:
    """How many calls may be under way after such a window, when it were `before` until now. `wanted`: some wait."""
    if not window.answers:
        return before
    # as many as are answered in the time that each may take: the rate of answers x that time
    fitting = (target_us * window.answers + window.worked_us) // (now_us - window.began_us)
    if window.queued_us > target_us * window.answers:
        if window.inside <= LEAST and window.answers <= LEAST:
            # so few are no rate that a cluster is held to, and make no queue by being too many
            return before
        return min(most, max(LEAST, fitting))
    grown = before + before // 4 + 16
    # with a line every place is taken, so more of them than fit would only make a queue
    return min(most, max(before, min(grown, fitting + fitting // 4 + 16)) if wanted else grown)


def _together(windows: Sequence[Window]) -> Window:
    return Window(windows[0].began_us, sum(one.answers for one in windows), sum(one.queued_us for one in windows),
                  sum(one.worked_us for one in windows), max(one.inside for one in windows))


class _Waiting(NamedTuple):
    since_us: int
    place: asyncio.Future[None]


class Gate:
    """Of one ingress process. `most`: how many may be under way and in line together."""

    def __init__(self, clock: Clock, *, most: int, target_ms: int, patience_ms: int) -> None:
        """Wide open."""
        self._clock, self._most = clock, most
        self._target_us, self._patience_us = target_ms * 1000, patience_ms * 1000
        self._places, self._room = most, most
        self._inside = self._expected = self._refusals = 0
        self._line: deque[_Waiting] = deque()
        self._window = Window(clock.elapsed_us())
        self._windows = deque[Window](maxlen=_WINDOWS)
        self._refused_us: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def places(self) -> int:
        """How many calls may be under way now."""
        return self._places

    @property
    def in_line(self) -> int:
        """How many wait for a place."""
        return len(self._line)

    @property
    def full(self) -> bool:
        """Whether nobody may come, not even in line; those who are on their way come first."""
        return self._full(self._expected)

    def expect(self) -> None:
        """One is on its way here, and comes within a few turns of the event loop."""
        if not self._hurried():
            return
        if not self._expected:
            self._forget_expected(_TURNS)
        self._expected += 1

    def refusal(self, *, first: bool = True) -> Overloaded | None:
        """Why one more may not come at all: for whoever would do something for it before. `first`: those who are on
        their way come after it."""
        if not self._full(0 if first else self._expected):
            return None
        self.refused()
        why = (f"{self._most} requests are in flight already" if self._inside + len(self._line) >= self._most
               else "the cluster is busy, and as many wait already as can be answered soon")
        return Overloaded(f"{why}; try again shortly (WEIR_INGRESS_MAX_IN_FLIGHT)", headers=_AGAIN)

    def refused(self) -> None:
        """Somebody was refused because it is full."""
        self._refused_us, self._refusals = self._clock.elapsed_us(), self._refusals + 1
        if self._inside + len(self._line) >= self._most:
            self._room = LEAST

    async def enter(self) -> None:
        """Take a place, which `leave` gives back. Raises Overloaded."""
        if self._open():
            if not self._inside:
                self._begin_anew()
            self._inside += 1
            return
        refusal = self.refusal()
        if refusal is not None:
            raise refusal
        waiting = _Waiting(self._clock.elapsed_us(), asyncio.get_running_loop().create_future())
        self._line.append(waiting)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look_again)
        try:
            await waiting.place
        except asyncio.CancelledError:
            given = waiting.place.done() and not waiting.place.cancelled() and waiting.place.exception() is None
            if given:
                self.leave()
            raise

    def leave(self) -> None:
        """Give a place back."""
        self._inside -= 1
        if self._line:
            self._let_in(hurried=self._hurried())

    def told(self, took_us: int, timing: Mapping[str, int]) -> None:
        """An answer has come: how long after its call was published, and the microseconds of each hop.

        Two measures, and the lesser counts: clocks of other machines may be wrong, and what an execution that was put
        aside has waited for is no queue. How long the answer lay here is not in it: fewer calls under way make an edge
        that is busy with refusing no faster.
        """
        window, now_us = self._window, self._clock.elapsed_us()
        worked_us = timing.get("policy", 0) + timing.get("executor", 0)
        queued_us = timing.get("policy-queue", 0) + timing.get("executor-queue", 0)
        window.answers += 1
        window.inside = max(window.inside, self._inside)
        window.queued_us += max(0, min(took_us - worked_us, queued_us))
        window.worked_us += worked_us
        if now_us - window.began_us >= _WINDOW_US:
            self._windows.append(window)
            while self._windows[0].began_us < now_us - _STALE_US and len(self._windows) > 1:
                self._windows.popleft()
            self._places = places(_together(self._windows), now_us, self._places, self._target_us, self._most,
                                  wanted=bool(self._line))
            self._window = Window(now_us)
            self._let_in(hurried=self._hurried())

    def _begin_anew(self) -> None:
        """Nothing is under way, and little was answered for a while: that tells of the callers alone."""
        now_us = self._clock.elapsed_us()
        if now_us - self._window.began_us >= _STALE_US:
            self._window, self._places = Window(now_us), self._most
            self._windows.clear()

    def _forget_expected(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._forget_expected, turns - 1)
        else:
            self._expected = 0

    def _full(self, expected: int) -> bool:
        if self._open(expected):
            return False
        inside, in_line = self._inside + expected, len(self._line)
        return inside + in_line >= self._most or max(0, inside - self._places) + in_line >= self._room

    def _open(self, expected: int = 0) -> bool:
        return self._inside + expected < self._places and (not self._line or self._hurried())

    def _hurried(self) -> bool:
        return self._refused_us is not None and self._clock.elapsed_us() - self._refused_us < _HASTE_US

    def _let_in(self, *, hurried: bool) -> None:
        since_us = self._clock.elapsed_us() - self._target_us
        while self._line and self._inside < self._places:
            if hurried and self._line[-1].since_us < since_us:
                return
            place = (self._line.pop() if hurried else self._line.popleft()).place
            if not place.done():
                self._inside += 1
                place.set_result(None)

    def _look_again(self) -> None:
        """Refuse those who have waited too long, for as long as there is a line."""
        since_us = self._clock.elapsed_us() - self._patience_us
        while self._line and (self._line[0].since_us < since_us or self._line[0].place.done()):
            place = self._line.popleft().place
            if not place.done():
                place.set_exception(Overloaded(
                    f"the cluster is busy, and no place came free within {self._patience_us // 1000} ms; try again "
                    "shortly (WEIR_INGRESS_LINE_PATIENCE_MS)", headers=_AGAIN))
        self._room = min(self._most, self._room + self._room // (_SOON if self._refusals <= self._inside else _LATER))
        # who was passed over gets the places that nobody else has come for
        self._let_in(hurried=self._refusals > 0)
        self._refusals = 0
        self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look_again) if self._line else None
