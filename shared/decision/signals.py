"""The signals in force.

In:    signals in the order of their topic, pins in the order of theirs.
Out:   those that speak of a caller now.
Never: a clock; a signal after its end.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import ip_network

from shared.contracts.config import Entity, Pin
from shared.contracts.signal import EVERYWHERE, IN_FORCE, Signal
from shared.project.access.facts import packed

# an hour after their end signals are of no more use to anybody
_KEPT_MS = 3_600_000
_SWEEP_AT = 1_000
_V6_BYTES, _V6_NETWORK_BYTES = 16, 8
Place = tuple[str, str, str]


class SignalBoard:
    """Signals by project, kind and subject. A pin is what a person has said last, so it wins."""

    def __init__(self) -> None:
        """Empty."""
        self._signals: dict[Place, Signal] = {}
        self._pins: dict[Place, Signal] = {}
        # about nobody: they must not cost every call a look
        self._allowances: dict[bytes, Signal] = {}
        self._sweep_at = _SWEEP_AT
        # when the last one of all ends, and the last block: most of the time there is none to look for
        self._last = self._last_block = 0
        # kind and subject of every signal, whatever its project
        self._subjects: set[tuple[str, str]] = set()

    def take(self, signals: Sequence[Signal]) -> None:
        """Take in what the topic says; an unblocked subject is forgotten."""
        gone = False
        for signal in signals:
            place = _place(signal)
            if signal.kind == "allowance":
                self._allowances[signal.key] = signal
            elif signal.action == "unblock":
                gone = self._signals.pop(place, None) is not None or gone
            else:
                self._signals[place] = signal
                self._lasts(signal)
        if gone:
            # once for all that came together: it looks at every signal
            self._look_for_the_last()
        if len(self._signals) > self._sweep_at and signals:
            self._sweep(signals[-1].time)

    def take_pins(self, entities: Sequence[Entity]) -> None:
        """Take in what the config topic says of pins."""
        gone = False
        for pin in entities:
            if not isinstance(pin, Pin):
                continue
            signal = as_signal(pin)
            gone = self._pins.pop(_place(signal), None) is not None or gone
            if pin.action:
                self._pins[_place(signal)] = signal
                self._lasts(signal)
        if gone:
            self._look_for_the_last()

    def _lasts(self, signal: Signal) -> None:
        self._subjects.add((signal.kind, canonical(signal.kind, signal.subject)))
        self._last = max(self._last, signal.until)
        if signal.action == "block":
            self._last_block = max(self._last_block, signal.until)

    def _look_for_the_last(self) -> None:
        self._last = self._last_block = 0
        self._subjects.clear()
        for signal in (*self._signals.values(), *self._pins.values()):
            self._lasts(signal)

    def _sweep(self, now_ms: int) -> None:
        self._signals = {place: signal for place, signal in self._signals.items()
                         if signal.until > now_ms - _KEPT_MS}
        self._look_for_the_last()
        # not again for each that comes while most are in force
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._signals))

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._signals or self._pins)

    def blocks(self, now_ms: int) -> bool:
        """Whether anybody may be blocked now."""
        return self._last_block > now_ms

    def about(self, project: str, subjects: Iterable[tuple[str, str]], now_ms: int, *,
              past: bool = False) -> list[Signal]:
        """Those in force about a caller; `subjects`: (kind, subject) pairs, empty ones are nobody's.

        `past`: now is long ago, and what was said later does not count. Else it does: clocks differ a little.
        """
        if self._last <= now_ms:
            return []
        # most callers are nobody's subject: one question for each of their names says so
        known = [(kind, name) for kind, subject in subjects if subject for name in spellings(kind, subject)
                 if (kind, name) in self._subjects]
        return [signal for kind, name in known for where in (project, EVERYWHERE)
                if (signal := self._at((where, kind, name), now_ms, past)) is not None]

    def of(self, project: str, kind: str, subject: str, now_ms: int) -> Signal | None:
        """The one in force about exactly this subject."""
        return self._at((project, kind, canonical(kind, subject)), now_ms)

    def pinned(self, project: str, kind: str, subject: str) -> bool:
        """Whether there is a pin, in force or not."""
        return (project, kind, canonical(kind, subject)) in self._pins

    def all(self, now_ms: int) -> list[Signal]:
        """Every signal in force."""
        found = [*(self._at(place, now_ms) for place in {**self._signals, **self._pins}),
                 *(signal for signal in self._allowances.values() if signal.until > now_ms)]
        return sorted((signal for signal in found if signal is not None), key=lambda signal: signal.time)

    def by_action(self, now_ms: int) -> dict[tuple[str, ...], float]:
        """How many are in force, for the metrics."""
        found = Counter(signal.action for signal in self.all(now_ms))
        return {(action,): found[action] for action in IN_FORCE}

    def _at(self, place: Place, now_ms: int, past: bool = False) -> Signal | None:
        for known in (self._pins, self._signals):
            signal = known.get(place)
            if signal is not None and signal.until > now_ms and not (past and signal.time > now_ms):
                return signal
        return None


def as_signal(pin: Pin) -> Signal:
    """What a pin says."""
    return Signal(
        project=pin.project, kind=pin.kind,  # type: ignore[arg-type]  # control writes pins of signals only
        subject=pin.subject, action=pin.action,  # type: ignore[arg-type]  # likewise
        until=pin.until, time=pin.time, detector=pin.detector, version=pin.version, reason=pin.reason, rate=pin.rate,
        evidence=pin.evidence)


def _place(signal: Signal) -> Place:
    return signal.project, signal.kind, canonical(signal.kind, signal.subject)

def canonical(kind: str, subject: str) -> str:
    """One spelling of a subject: an address has several, and may stand for its network of 64 bits."""
    if kind != "ip":
        return subject
    address = packed(subject)
    if address is not None:
        return address.hex()
    return subject if not is_network(subject) else ip_network(subject).network_address.packed[:_V6_NETWORK_BYTES].hex()


def spellings(kind: str, subject: str) -> tuple[str, ...]:
    """Under which subjects somebody may be known: an IPv6 address by its network, too."""
    return _of_address(subject) if kind == "ip" else (subject,)


@lru_cache(maxsize=20_000)
def _of_address(subject: str) -> tuple[str, ...]:
    address = packed(subject)
    if address is None:
        return (subject,)
    if len(address) != _V6_BYTES:
        return (address.hex(),)
    return address.hex(), address[:_V6_NETWORK_BYTES].hex()


def is_network(subject: str) -> bool:
    """Whether it is an IPv6 network of 64 bits."""
    try:
        network = ip_network(subject)
    except ValueError:
        return False
    return network.version == 6 and network.prefixlen == 8 * _V6_NETWORK_BYTES
