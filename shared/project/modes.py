"""How a call of an operation is answered: with its result, or at once with where the result will be.

In:    an operation, the caller's `Prefer` header.
Out:   `Answering`; `RESULTS`, the operation by which every project tells results.
Never: a clock.

`Prefer: respond-async` and `Prefer: wait=N` (seconds) are those of RFC 7240, 4.1 and 4.3.
"""

import re
from dataclasses import dataclass

from shared.project.model import Operation, Project

EXECUTIONS = "/-/executions/"
RESULTS = Operation(name="weir-execution", method="GET", path=EXECUTIONS + "{id}", workflow="weir-execution",
                    public=True, title="The result of an execution")
OWN_PATHS = "/-/"
# the work of a caller that has stopped to wait goes on for so long at the most, where nothing else is said
_LINGER_MS = 300_000
# with its parameters; a comma inside of quotes separates nothing, and quotes that nobody closes go to the end
_PREFERENCE = re.compile(r'(?:[^",]++|"(?:[^"\\]++|\\.?)*+(?:"|$))++')
# no value and an empty one are the same (RFC 7240, 2)
_ASYNC = re.compile(r'respond-async(?:\s*=\s*"")?')
_WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,6})\"?")


@dataclass(frozen=True, slots=True)
class Answering:
    """`at_once`: 202 before anything has run. `kept`: the result can be asked for later.

    Milliseconds from the call: how long it waits for its answer, and how long the work may take. `applied`: what to say
    in `Preference-Applied`.
    """

    at_once: bool
    kept: bool
    wait_ms: int
    run_ms: int
    applied: str = ""


def answering(operation: Operation, prefer: str | None, *, edge: bool) -> Answering:
    """What the operation does, bent by what the caller prefers as far as that is possible.

    `edge`: the caller waits there, and is told at the end of its wait where the result will be. Nobody tells a service
    that waits on a topic: its work ends with its wait.
    """
    wait_ms, run_ms = operation.timeout_ms, max(operation.timeout_ms, operation.run_timeout_ms or 0)
    if operation.mode == "events":
        # whoever hears events hears them as they come: no preference changes that
        return Answering(at_once=False, kept=False, wait_ms=run_ms, run_ms=run_ms)
    at_once, kept = operation.mode != "request_response", operation.mode == "validate"
    applied, waits = "", False
    for preference in _PREFERENCE.findall(prefer.lower()) if prefer else ():
        name = preference.partition(";")[0].strip()
        wait = _WAIT.fullmatch(name)
        if _ASYNC.fullmatch(name):
            at_once, kept, applied = True, True, "respond-async"
        elif wait is not None and not at_once and not waits:
            # of one that is named more than once the first counts (RFC 7240, 2)
            waits = True
            wait_ms = min(wait_ms, max(1, int(wait[1])) * 1000)
            applied = f"wait={wait_ms // 1000}"
    if operation.run_timeout_ms is None and (edge or at_once):
        # how long a caller waits says nothing of work that goes on without one: a 202 would be lost where no executor
        # had the time for it
        run_ms = max(run_ms, _LINGER_MS)
    return Answering(at_once, kept or (not at_once and wait_ms < run_ms), wait_ms, run_ms, applied)


def operations_of(project: Project) -> tuple[Operation, ...]:
    """Those of the project, and what every project has."""
    return (*project.operations, RESULTS)


def result_path(project: str, execution: str) -> str:
    """Where the result of an execution is asked for."""
    return f"/{project}{EXECUTIONS}{execution}"
