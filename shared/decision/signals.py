"""The signals in force.

In:    signals in the order of their topic.
Out:   those that speak of a caller now.
Never: a clock; a signal after its end.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from shared.contracts.signal import EVERYWHERE, Signal
from shared.project.access.facts import packed


class SignalBoard:
    """Signals by project, kind and subject."""

    def __init__(self) -> None:
        """Empty."""
        self._signals: dict[tuple[str, str, str], Signal] = {}
        # about nobody: they must not cost every call a look
        self._allowances: dict[bytes, Signal] = {}

    def take(self, signals: Sequence[Signal]) -> None:
        """Take in what the topic says; an unblocked subject is forgotten."""
        for signal in signals:
            place = signal.project, signal.kind, canonical(signal.kind, signal.subject)
            if signal.kind == "allowance":
                self._allowances[signal.key] = signal
            elif signal.action == "unblock":
                self._signals.pop(place, None)
            else:
                self._signals[place] = signal

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._signals)

    def about(self, project: str, subjects: Iterable[tuple[str, str]], now_ms: int) -> list[Signal]:
        """Those in force about a caller; `subjects`: (kind, subject) pairs, empty ones are nobody's."""
        if not self._signals:
            return []
        found = [self._signals.get((where, kind, canonical(kind, subject)))
                 for kind, subject in subjects if subject for where in (project, EVERYWHERE)]
        return [signal for signal in found if signal is not None and signal.until > now_ms]

    def all(self, now_ms: int) -> list[Signal]:
        """Every signal in force."""
        return sorted((signal for signal in (*self._signals.values(), *self._allowances.values())
                       if signal.until > now_ms), key=lambda signal: signal.time)

    def by_action(self, now_ms: int) -> dict[tuple[str, ...], float]:
        """How many are in force, for the metrics."""
        return dict(Counter((signal.action,) for signal in self.all(now_ms)))


def canonical(kind: str, subject: str) -> str:
    """One spelling of a subject: an address has several."""
    if kind != "ip":
        return subject
    address = packed(subject)
    return subject if address is None else address.hex()
