"""What one expression reads that is never there. Pure.

In:    names that an expression reads, what there is where it stands.
Out:   codes and messages.
Never: a value that may be there, whatever a caller or an outside system says.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.project.check_calls import never_given
from shared.project.expressions import SCOPE
from shared.project.model import Schema
from shared.project.steps.base import Step, steps_in
from shared.project.steps.control import LoopSettings, ParallelSettings
from shared.project.steps.work import HttpSettings, OperationSettings

# what an expression may read: the scope, and the name by which people write in JSONata that there is nothing
_NAMES = frozenset({*SCOPE, "undefined"})
_TRIGGER = ("body", "query", "path", "headers", "method", "client", "ip")
_EXECUTION = ("id", "operation", "project", "version")
_ERROR = ("kind", "step", "message", "status", "attempt")
_LOOP = ("index", "item", "key", "last", "outer")
# what is merged has members that no part of it needs to have; `@` and `%` read beside what stands before them
_TELLS_TOO_MUCH = re.compile(r"\$merge|[@%]")
_ANSWER = ("status", "headers", "body")
_DASHED = re.compile(r"\w+(?:-\w+)+")
Given = Mapping[str, tuple[str, Schema]]
Found = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to read at a place, but for the steps that are done.

    `everyone`: ids of all steps; `handlers`: of those that handle their errors, and `handled`: of those among them
    whose errors are read here. `given`: by step, what to say of members that it never gives, and its schema. `passes`:
    pairs of a loop and a step inside it. `loop`: what `loop` has, empty outside of loops.
    """

    everyone: frozenset[str]
    config: frozenset[str] | None
    given: Given
    handlers: frozenset[str]
    handled: frozenset[str]
    passes: frozenset[tuple[str, str]] = frozenset()
    loop: frozenset[str] = frozenset()

    def inside(self, settings: LoopSettings) -> "Known":
        """The same in a pass: its steps' errors are its own."""
        gone = {"item", "key"} if settings.while_ is not None else {"last"} if settings.concurrency > 1 else set()
        return replace(self, loop=frozenset(_LOOP) - gone, handled=self.handled | _handled(settings.steps))


def known_in(steps: Sequence[Step], config: frozenset[str] | None, calls: Given) -> Known:
    """At the beginning of a workflow; `calls`: what its calls give."""
    everything = [step for _, step in steps_in(steps)]
    given = {step.id: found for step in everything if (found := _shape(step)) is not None and step.fallback is None}
    handlers = frozenset(step.id for step in everything if step.handles != "fail")
    passes = frozenset((step.id, inner.id) for step in everything if isinstance(step.settings, LoopSettings)
                       for _, inner in steps_in(step.settings.steps))
    return Known(frozenset(step.id for step in everything), config, {**given, **calls}, handlers, _handled(steps),
                 passes)


def misreads(text: str, read: Mapping[str, Any], known: Known, done: set[str]) -> Found:
    """What an expression reads in vain. `read`: by name, as `names_in` tells; `done`: steps whose outputs are there."""
    for name in sorted(read.keys() - _NAMES):
        yield "unknown-name", f"{name} is read here, and there are {', '.join(SCOPE)} only{_dash(text, name)}"
    steps, config, errors = (_members(read.get(name)) for name in ("steps", "config", "errors"))
    for name in sorted(steps.keys() - done):
        yield "step-order", f"steps.{name} is read here, and {name!r} {_why_not(name, known, done)}"
    for name in sorted(config.keys() - known.config if known.config is not None else ()):
        yield "dangling", f"config.{name} is read here, and weir.yaml has no config {name!r}{_dash(text, name)}"
    yield from _errors(errors, known)
    if _TELLS_TOO_MUCH.search(text) is None:
        yield from _of_steps(steps, known)
        yield from _of_scope(read, known)


def _why_not(name: str, known: Known, done: set[str]) -> str:
    ended = next((loop for loop, inside in sorted(known.passes) if inside == name and loop in done), None)
    if ended is not None:
        return f"stands in a loop, whose passes keep theirs: `steps.{ended}` has what each of them collects"
    return "is a later step, or runs beside this one" if name in known.everyone else "is no step of this workflow"


def _of_steps(steps: Mapping[str, Any], known: Known) -> Found:
    for name, more in steps.items():
        says, schema = known.given.get(name, ("", None))
        for member in never_given(more, schema, f"steps.{name}"):
            yield "misfit", f"{member} is read here, and {says}"
        if schema is _ANSWER_SCHEMA:
            yield from _headers(_members(more), f"steps.{name}")


def _of_scope(read: Mapping[str, Any], known: Known) -> Found:
    trigger, loop = _members(read.get("trigger")), read.get("loop")
    yield from _only(trigger, _TRIGGER, "trigger")
    yield from _headers(trigger, "trigger")
    yield from _only(_members(read.get("execution")), _EXECUTION, "execution")
    if loop is not None and not known.loop:
        yield "unknown-name", "loop is read here, and no loop stands around this"
    else:
        yield from _loop(_members(loop), known.loop)


def _loop(read: Mapping[str, Any], there: frozenset[str]) -> Found:
    yield from _only(read, [name for name in _LOOP if name in there], "loop", ", for this loop" if len(there) < len(
        _LOOP) else "")


def _errors(read: Mapping[str, Any], known: Known) -> Found:
    for name, more in sorted(read.items(), key=lambda one: one[0]):
        if name not in known.everyone:
            yield "step-order", f"errors.{name} is read here, and {name!r} is no step of this workflow"
        elif name not in known.handlers:
            yield "step-order", (f"errors.{name} is read here, and {name!r} does not handle its errors: give it "
                                 "`on_error: continue`, a `fallback` or a `catch`, or read that of the step around it")
        elif name not in known.handled:
            yield "step-order", f"errors.{name} is read here, and {name!r} stands in a loop, whose passes keep theirs"
        else:
            yield from _only(_members(more), _ERROR, f"errors.{name}")


def _only(read: Mapping[str, Any], there: Sequence[str], at: str, more: str = "") -> Found:
    for name in sorted(read.keys() - set(there)):
        yield "unknown-name", f"{at}.{name} is read here, and {at} has {', '.join(there)} only{more}"


def _headers(read: Mapping[str, Any], at: str) -> Found:
    for name in sorted(_members(read.get("headers"))):
        if name != name.lower():
            yield "unknown-name", f"{at}.headers.{name} is read here, and names of headers are in lower case there"


def _dash(text: str, name: str) -> str:
    """A hint where a dash was no minus."""
    dashed = next((word for word in _DASHED.findall(text) if name in word.split("-")), None)
    return "" if dashed is None else f"; a name with a dash stands in backquotes: `{dashed}`"


def _members(read: object) -> Mapping[str, Any]:
    """Which are read is not known of what is read whole."""
    return read if isinstance(read, Mapping) else {}


def _handled(steps: Sequence[Step]) -> frozenset[str]:
    """Ids of steps that handle their errors, but for those in passes of loops."""
    found = {step.id for step in steps if step.handles != "fail"}
    return frozenset(found).union(*(_handled(block.steps) for step in steps for block in step.blocks()
                                    if not block.own))


def _closed(names: Sequence[str]) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": {name: {} for name in names}}


_ANSWER_SCHEMA = _closed(_ANSWER)


def _shape(step: Step) -> tuple[str, Schema] | None:
    settings = step.settings
    if isinstance(settings, HttpSettings | OperationSettings):
        return f"the step gives {', '.join(_ANSWER)} only", _ANSWER_SCHEMA
    if isinstance(settings, ParallelSettings):
        return f"the step gives its branches only: {', '.join(settings.branches)}", _closed(list(settings.branches))
    return None
