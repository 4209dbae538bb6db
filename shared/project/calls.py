"""Which workflows lead to which.

In:    steps; by name of a workflow, what it calls.
Out:   the calls that stand in steps; an order in which what is called comes first; who calls each other in a circle;
       what a reply by its name alone means to whoever calls.
Never: a deep recursion: a row of calls may be long.

Pure.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from shared.project.model import REPLY_STATUS, Operation
from shared.project.steps.base import Path, Step, steps_in
from shared.project.steps.control import CallSettings

# workflows that one execution may be inside of, each called by the one before
MAX_CALL_DEPTH = 32


def calls_in(steps: Sequence[Step]) -> Iterator[tuple[Path, str]]:
    """Where a workflow is named that is called, and its name."""
    for path, step in steps_in(steps):
        if isinstance(step.settings, CallSettings):
            yield (*path, step.kind, "workflow"), step.settings.workflow


def called_first(starts: Iterable[str], called: Callable[[str], Iterable[str]]) -> list[str]:
    """Workflows and all that they lead to: each once, and after all that it calls itself, but for circles."""
    done: list[str] = []
    seen: set[str] = set()
    waiting = [(name, False) for name in starts]
    while waiting:
        name, all_called_are_done = waiting.pop()
        if all_called_are_done:
            done.append(name)
        elif name not in seen:
            seen.add(name)
            waiting.append((name, True))
            waiting += [(other, False) for other in called(name)]
    return done


def reply_statuses(operations: Iterable[Operation]) -> Callable[[str], dict[str, int]]:
    """By called workflow the statuses of its replies by name: as operations that run it declare them, and where none of
    them does, others of the project. Of several the largest counts: what is an error to one is not to be passed over.
    """
    declared = sorted((status, name, operation.workflow) for operation in operations for name in operation.replies
                      if (status := operation.reply_status(name)) is not None)
    anywhere = REPLY_STATUS | {name: status for status, name, _ in declared}
    own: dict[str, dict[str, int]] = defaultdict(dict)
    for status, name, workflow in declared:
        own[workflow][name] = status
    return lambda workflow: anywhere | own.get(workflow, {})


def rings(called: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """By workflow one name for all that lead to each other; `called` names no others.

    Nobody of the rest leads to whoever is done last, but for those whom it leads to itself: asked backwards, it finds
    its ring.
    """
    callers = defaultdict(list)
    for name, others in called.items():
        for other in others:
            callers[other].append(name)
    found: dict[str, str] = {}

    def left(name: str) -> list[str]:
        return [caller for caller in callers[name] if caller not in found]
    for last in reversed(called_first(called, called.__getitem__)):
        if last not in found:
            found.update(dict.fromkeys(called_first([last], left), last))
    return found
