"""One connection to the store, shared by all who ask: what they ask goes out at once, and answers come in that order.

In:    commands.
Out:   their answers as the store gives them; `Refused`, ConnectionError, TimeoutError.
Never: a command that blocks; an answer handed to somebody else because one who asked has gone; a timer per command.

Time is counted in looks, a few of them in a time-out: a process that was busy itself has not waited for the store.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, cast

import hiredis

Argument = str | bytes | int
# looks within a time-out
_LOOKS = 4
_MORE = object()


class Refused(Exception):
    """The store answers a command with an error."""


class NoScript(Refused):
    """It does not have the script, which its SHA named."""


class NotPrimary(Refused):
    """It does not take writes: another one is the primary, or may be by now, for its replicas do not hear of it."""


_KINDS: dict[str, type[Refused]] = {"NOSCRIPT": NoScript, "READONLY": NotPrimary, "NOREPLICAS": NotPrimary}


def _refused(text: str) -> Refused:
    return _KINDS.get(text.partition(" ")[0], Refused)(text)


class _Asked:
    """Commands that went out together. `late`: the look at which whoever asked has waited for too long."""

    __slots__ = ("done", "found", "late", "wanted")

    def __init__(self, wanted: int, late: int, done: "asyncio.Future[list[Any]]") -> None:
        self.wanted, self.late, self.done = wanted, late, done
        self.found: list[Any] = []


class Connection(asyncio.Protocol):
    """The loop's end of a transport."""

    def __init__(self, timeout_s: float, silent_s: float) -> None:
        """`silent_s`: a store that has said nothing for so long, though it was asked, is not behind it any more."""
        self._loop, self._every_s = asyncio.get_running_loop(), timeout_s / _LOOKS
        self._silent = max(_LOOKS + 1, round(silent_s / self._every_s))
        self._late = f"no answer within {timeout_s:g} s"
        self._reader = hiredis.Reader(replyError=_refused, notEnoughData=_MORE)
        self._asked: deque[_Asked] = deque()
        self._looks = self._heard = 0
        self._timer: asyncio.TimerHandle | None = None
        self.lost, self._ended = True, "the connection is lost"

    def ask(self, commands: Iterable[Sequence[Argument]]) -> "asyncio.Future[list[Any]]":
        """The answers to commands that go out together, with nobody else's between them; errors are among them.

        Fails with TimeoutError, ConnectionError.
        """
        packed = [hiredis.pack_command(tuple(command)) for command in commands]  # type: ignore[arg-type]  # of any length
        done: asyncio.Future[list[Any]] = self._loop.create_future()
        if self.lost:
            done.set_exception(ConnectionError(self._ended))
            return done
        if not self._asked:
            self._heard = self._looks
        if self._timer is None:
            self._timer = self._loop.call_later(self._every_s, self._look)
        self._asked.append(_Asked(len(packed), self._looks + _LOOKS + 1, done))
        # the loop writes what is given to a transport in one turn together
        self._transport.write(packed[0] if len(packed) == 1 else b"".join(packed))
        return done

    def close(self, why: str = "the connection was closed") -> None:
        """Hear nothing more; whoever still waits is told why."""
        self._transport.abort()
        self.connection_lost(ConnectionError(why))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It may be asked."""
        # uvloop's transports are none of asyncio's classes
        self._transport, self.lost = cast(asyncio.Transport, transport), False

    def connection_lost(self, exc: Exception | None) -> None:
        """It answers no more."""
        why = exc or ConnectionError("the store has closed the connection")
        if not self.lost:
            self.lost, self._ended = True, str(why)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._asked:
            done = self._asked.popleft().done
            if not done.done():
                done.set_exception(why)

    def data_received(self, data: bytes) -> None:
        """Hand answers to those who asked, the first to the first; nobody needs to wait for it any more."""
        self._heard, gets = self._looks, self._reader.gets
        self._reader.feed(data)
        try:
            while (answer := gets()) is not _MORE:
                if not self._asked:
                    # that it has as many clients as it takes, for one, it says before anybody has asked
                    self.close(str(answer) if isinstance(answer, Refused) else "it answers what nobody has asked")
                    return
                asked = self._asked[0]
                asked.found.append(answer)
                if len(asked.found) == asked.wanted:
                    self._asked.popleft()
                    if not asked.done.done():
                        asked.done.set_result(asked.found)
        except hiredis.ProtocolError as exc:
            self.close(f"these are not answers of a store: {exc!r}")

    def _look(self) -> None:
        """Tell those who have waited for too long; their answers are dropped when they come."""
        self._looks += 1
        self._timer = None
        if not self._asked:
            return
        for asked in self._asked:
            if asked.late > self._looks:
                break
            if not asked.done.done():
                asked.done.set_exception(TimeoutError(self._late))
        if self._looks - self._heard > self._silent:
            self.close("the store says nothing")
        else:
            self._timer = self._loop.call_later(self._every_s, self._look)
