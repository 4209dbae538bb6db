"""Is this caller blocked?

In:    the signals about its client, token and address.
Out:   Blocked; throttles, as demands; what observing signals would have done.
Never: a finding; analytics and people make those.
"""

from collections.abc import Iterable

from shared.contracts.signal import Signal
from shared.decision.case import Case
from shared.errors import Blocked
from shared.project.access.budgets import Demand, Kind

_MINUTE_MS = 60_000


def nobody_blocks(case: Case) -> Blocked | None:
    """Refuse a blocked caller; note throttles."""
    board = case.book.signals
    if not board:
        return None
    http = case.request.http
    subjects = (("client", case.client), ("token", case.token), ("ip", http.client_ip if http is not None else ""))
    signals = board.about(case.request.project, subjects, case.now_ms, past=case.past)
    case.observed.extend(f"signal-{signal.detector}:{signal.kind}" for signal in signals if signal.action == "observe")
    case.throttles = [_throttle(signal) for signal in signals if signal.action == "throttle"]
    return refusal(signals, case.now_ms)


def refusal(signals: Iterable[Signal], now_ms: int) -> Blocked | None:
    """What a blocked caller is told; the edge tells it, too."""
    blocks = [signal for signal in signals if signal.action == "block"]
    if not blocks:
        return None
    last = blocks[0] if len(blocks) == 1 else max(blocks, key=lambda signal: signal.until)
    who, why = "address" if last.kind == "ip" else last.kind, f": {last.reason}" if last.reason else ""
    if last.pinned:
        return Blocked(f"this {who} is blocked{why}", members={"signal": last.detector})
    wait_s = max(1, -(-(last.until - now_ms) // 1000))
    return Blocked(f"this {who} is blocked for {wait_s} s{why}", headers={"Retry-After": str(wait_s)},
                   members={"signal": last.detector})


def _throttle(signal: Signal) -> Demand:
    key = f"weir:limit:signal:{signal.project}:{signal.kind}:{signal.subject}"
    return Demand(key, Kind.WINDOW, max(1, signal.rate), _MINUTE_MS, 1, 1, True, f"signal-{signal.detector}")
