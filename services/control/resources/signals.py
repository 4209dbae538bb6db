"""Signals: who is blocked or throttled, by a detector or by a person.

In:    a subject, what is to happen, for how long.
Out:   the signals in force; a record on `weir.signals`, or on `weir.config` for what that topic would forget too early.
Never: a signal that only running services know of.
"""

from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from services.control.api import Body, Call, NotTrue, Result, Route, one_of
from services.control.faults import NotFound
from services.control.resources.clients import check_client
from services.control.resources.projects import known_project
from shared.contracts.config import Pin
from shared.contracts.signal import EVERYWHERE, FOREVER, MANUAL, Kind, Signal
from shared.decision.signals import is_network
from shared.errors import InputInvalid, Unavailable
from shared.kafka.faults import KafkaUnavailable, SendFailed
from shared.names import topics
from shared.project.access.facts import packed

# the topic of signals forgets after seven days; what lasts longer is configuration, which is kept
_LONGEST_ON_TOPIC_S = 6 * 86_400
_LONGEST_S = 400 * 86_400


class NewSignal(Body):
    """A block or a throttle by hand. `rate`: calls per minute that a throttle leaves; `pin`: until it is lifted."""

    kind: Kind
    subject: Annotated[str, Field(min_length=1, max_length=200)]
    action: Literal["observe", "throttle", "block"] = "block"
    for_s: Annotated[int, Field(ge=1, le=_LONGEST_S), NotTrue] = 3600
    pin: bool = False
    rate: Annotated[int, Field(ge=1, le=1_000_000), NotTrue] = 10
    reason: Annotated[str, Field(max_length=300)] = ""

    @model_validator(mode="after")
    def _names_an_address(self) -> "NewSignal":
        if self.kind == "ip" and packed(self.subject) is None and not is_network(self.subject):
            raise ValueError(f"{self.subject!r} is no address, and no IPv6 network of 64 bits (2001:db8:0:7::/64)")
        return self


async def list_signals(call: Call) -> Result:
    """Those in force, oldest first; of all projects where none is named."""
    project = call.path["project"] if call.path["project"] == EVERYWHERE else known_project(call)
    return Result([_shown(signal) for signal in call.desk.book.signals.all(call.desk.clock.now_ms())
                   if project == EVERYWHERE or signal.project in (project, EVERYWHERE)])


async def show_signal(call: Call) -> Result:
    """One in force, with its evidence."""
    return Result(_shown(_in_force(call)))


async def make_signal(call: Call) -> Result:
    """Block, throttle or watch somebody from now on."""
    project, wanted, now_ms = call.path["project"], call.body, call.desk.clock.now_ms()
    if project != EVERYWHERE and call.desk.book.project(project) is None:
        raise NotFound(f"there is no project {project!r}; `*` means all")
    _check_subject(call, project, wanted)
    signal = Signal(project=project, kind=wanted.kind, subject=wanted.subject, action=wanted.action,
                    until=FOREVER if wanted.pin else now_ms + wanted.for_s * 1000, time=now_ms, detector=MANUAL,
                    reason=wanted.reason, rate=wanted.rate if wanted.action == "throttle" else 0)
    what = f"{wanted.action} {wanted.kind}"
    pinned = call.desk.book.signals.pinned(project, wanted.kind, wanted.subject)
    lasts = wanted.pin or wanted.for_s > _LONGEST_ON_TOPIC_S
    if lasts or pinned:
        # what a person says last holds
        await _pin(call, signal, signal.action if lasts else "", what)
    else:
        call.desk.registry.audit(what, project, signal.subject)
    await _send(call, signal)
    return Result(_shown(signal), 201)


def _check_subject(call: Call, project: str, wanted: NewSignal) -> None:
    """Whoever mistypes a name would believe that somebody is kept out. Raises NotFound."""
    if wanted.kind == "client":
        check_client(call, project, wanted.subject)
    elif wanted.kind == "token":
        token = call.desk.registry.catalogue.tokens.get(wanted.subject)
        if token is None or project not in (EVERYWHERE, token.project):
            raise NotFound(f"there is no token {wanted.subject!r} here; `weir token list` shows their ids")


async def pin_signal(call: Call) -> Result:
    """Keep one in force until it is lifted by hand."""
    there = _in_force(call)
    pinned = Signal(**{**asdict(there), "until": FOREVER, "time": call.desk.clock.now_ms()})
    await _pin(call, pinned, pinned.action, f"pin {there.kind}")
    await _send(call, pinned)
    return Result(_shown(pinned))


async def lift_signal(call: Call) -> Result:
    """Let somebody in again; detectors begin anew with them."""
    there, now_ms = _in_force(call), call.desk.clock.now_ms()
    lifted = Signal(project=there.project, kind=there.kind, subject=there.subject, action="unblock", until=now_ms,
                    time=now_ms, detector=MANUAL)
    what = f"lift {there.kind}"
    await _send(call, lifted)
    if call.desk.book.signals.pinned(there.project, there.kind, there.subject):
        await _pin(call, there, "", what)
    else:
        call.desk.registry.audit(what, there.project, there.subject)
    return Result(_shown(lifted))


def _in_force(call: Call) -> Signal:
    project, kind, subject = call.path["project"], call.path["kind"], call.path["subject"]
    if kind not in get_args(Kind):
        raise InputInvalid(f"a signal is about a client, ip or token, not a {kind[:40]!r}")
    known = call.desk.book.signals.of(project, kind, subject, call.desk.clock.now_ms())
    if known is None:
        raise NotFound(f"no signal about {kind} {subject!r} is in force in {project!r}; `weir signals list` shows them")
    return known


def _shown(signal: Signal) -> dict[str, Any]:
    return {**asdict(signal), "pinned": signal.pinned}


async def _pin(call: Call, signal: Signal, action: str, what: str) -> None:
    """Raises Unavailable, Conflict."""
    pin = Pin(**{**asdict(signal), "action": action})
    async with call.desk.registry.changing() as write:
        await write(pin, what)


async def _send(call: Call, signal: Signal) -> None:
    try:
        await call.desk.outbox.send(topics.SIGNALS, signal.to_value(), [], key=signal.key, partition=0)
    except (SendFailed, KafkaUnavailable) as exc:
        raise Unavailable(f"the signal could not be written: {exc}") from exc
    # whoever asks next finds it, before the topic has been read back
    call.desk.book.signals.take([signal])


_ONE, _KIND = "/projects/{project}/signals/{kind}/{subject}", {"kind": one_of(get_args(Kind))}
ROUTES = (
    Route(method="GET", path="/projects/{project}/signals", summary="Signals in force", handler=list_signals),
    Route(method="POST", path="/projects/{project}/signals", summary="Block, throttle or watch somebody",
          handler=make_signal, body=NewSignal, status=201),
    Route(method="GET", path=_ONE, summary="A signal in force, with its evidence", handler=show_signal,
          forms=_KIND),
    Route(method="POST", path=f"{_ONE}/pin", summary="Keep a signal in force until it is lifted", handler=pin_signal,
          forms=_KIND),
    Route(method="DELETE", path=_ONE, summary="Let somebody in again", handler=lift_signal, forms=_KIND),
)
