"""Signals: who is blocked or throttled, by a detector or by a person.

In:    a subject, what is to happen, for how long.
Out:   the signals in force; a record on `weir.signals`.
Never: a block without an end.
"""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from services.control.api import Call, Result, Route
from services.control.faults import NotFound
from shared.contracts.signal import EVERYWHERE, Kind, Signal
from shared.decision.signals import canonical
from shared.errors import InputInvalid, Unavailable
from shared.kafka.faults import KafkaUnavailable, SendFailed
from shared.names import topics
from shared.project.access.facts import packed

# the topic forgets a signal after seven days
_LONGEST_S = 6 * 86_400


class NewSignal(BaseModel):
    """A block or a throttle by hand. `rate`: calls per minute that a throttle leaves."""

    kind: Kind
    subject: Annotated[str, Field(min_length=1, max_length=200)]
    action: Literal["observe", "throttle", "block"] = "block"
    for_s: Annotated[int, Field(ge=1, le=_LONGEST_S)] = 3600
    rate: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    reason: Annotated[str, Field(max_length=300)] = ""

    @model_validator(mode="after")
    def _names_an_address(self) -> "NewSignal":
        if self.kind == "ip" and packed(self.subject) is None:
            raise ValueError(f"{self.subject!r} is no address")
        return self


async def list_signals(call: Call) -> Result:
    """Those in force, oldest first."""
    project = call.path["project"]
    return Result([asdict(signal) for signal in call.desk.book.signals.all(call.desk.clock.now_ms())
                   if signal.project in (project, EVERYWHERE)])


async def make_signal(call: Call) -> Result:
    """Block, throttle or watch somebody from now on."""
    project, wanted, now_ms = call.path["project"], call.body, call.desk.clock.now_ms()
    if project != EVERYWHERE and call.desk.book.project(project) is None:
        raise NotFound(f"there is no project {project!r}; `*` means all")
    signal = Signal(project=project, kind=wanted.kind, subject=wanted.subject, action=wanted.action,
                    until=now_ms + wanted.for_s * 1000, time=now_ms, detector="manual", reason=wanted.reason,
                    rate=wanted.rate if wanted.action == "throttle" else 0)
    await _write(call, signal, f"{wanted.action} {wanted.kind}")
    return Result(asdict(signal), 201)


async def lift_signal(call: Call) -> Result:
    """Let somebody in again."""
    project, kind, subject = call.path["project"], call.path["kind"], call.path["subject"]
    if kind not in ("client", "ip", "token"):
        raise InputInvalid(f"a signal is about a client, ip or token, not a {kind[:40]!r}")
    now_ms = call.desk.clock.now_ms()
    known = [signal for signal in call.desk.book.signals.all(now_ms) if signal.project == project
             and signal.kind == kind and canonical(kind, signal.subject) == canonical(kind, subject)]
    if not known:
        raise NotFound(f"no signal about {kind} {subject!r} is in force in {project!r}; `weir signals list` shows them")
    lifted = Signal(project=project, kind=known[0].kind, subject=known[0].subject, action="unblock", until=now_ms,
                    time=now_ms, detector="manual")
    await _write(call, lifted, f"lift {kind}")
    return Result(asdict(lifted))


async def _write(call: Call, signal: Signal, what: str) -> None:
    try:
        await call.desk.outbox.send(topics.SIGNALS, signal.to_value(), [], key=signal.key, partition=0)
    except (SendFailed, KafkaUnavailable) as exc:
        raise Unavailable(f"the signal could not be written: {exc}") from exc
    # whoever asks next finds it, before the topic has been read back
    call.desk.book.signals.take([signal])
    call.desk.registry.audit(what, signal.project, signal.subject)


ROUTES = (
    Route(method="GET", path="/projects/{project}/signals", summary="Signals in force", handler=list_signals),
    Route(method="POST", path="/projects/{project}/signals", summary="Block, throttle or watch somebody",
          handler=make_signal, body=NewSignal, status=201),
    Route(method="DELETE", path="/projects/{project}/signals/{kind}/{subject}", summary="Let somebody in again",
          handler=lift_signal),
)
